//! Paths: the one form in which they are compared, and what a rule says of them.

use std::borrow::Cow;
use std::sync::Arc;

/// A path that servers read in several ways: what one refuses, another would serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SeveralReadings {
    /// `%2F`, `%5C` or a backslash: some take it for a slash.
    #[error("the path has an encoded slash or a backslash, which some servers take for a slash")]
    Slash,
    /// Two slashes in a row: some take them for one.
    #[error("the path has two slashes in a row, which some servers take for one")]
    Empty,
    /// A percent sign without two digits behind it, or an encoded control character.
    #[error("the path has a percent sign that encodes nothing, or a control character")]
    Encoding,
}

/// A path as it is compared: what need not be encoded is not (RFC 3986, section 6.2.2), hexadecimal digits are in upper case, and there
/// are no segments `.` and `..`. What goes on to a backend is the path as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathView<'p>(Option<Cow<'p, str>>);

impl<'p> PathView<'p> {
    /// That of a path, without its query. `*` and an empty path are none that a rule could look at.
    ///
    /// # Errors
    /// [`SeveralReadings`].
    pub fn new(path: &'p str) -> Result<Self, SeveralReadings> {
        if !path.starts_with('/') {
            return Ok(Self::opaque());
        }
        if path.contains('\\') {
            return Err(SeveralReadings::Slash);
        }
        let decoded = if path.contains('%') { Cow::Owned(decoded_path(path)?) } else { Cow::Borrowed(path) };
        if decoded.contains("//") {
            return Err(SeveralReadings::Empty);
        }
        let has_dots = decoded.split('/').any(|segment| segment == "." || segment == "..");
        Ok(Self(Some(if has_dots { Cow::Owned(without_dots(&decoded)) } else { decoded })))
    }

    /// One that no rule can look at.
    pub(super) const fn opaque() -> Self {
        Self(None)
    }

    /// The path in that form.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// What may be a prefix of it by whole segments, the longest first: `/a/b`, `/a/`, `/a`, `/`.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = &str> {
        let path = self.path();
        let whole = path.into_iter();
        let cuts = path.into_iter().flat_map(|path| {
            path.rmatch_indices('/').flat_map(move |(at, _)| [path.get(..=at), path.get(..at)])
        });
        whole.chain(cuts.flatten().filter(|prefix| !prefix.is_empty()))
    }
}

/// With what need not be encoded decoded.
fn decoded_path(path: &str) -> Result<String, SeveralReadings> {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((front, behind)) = rest.split_once('%') {
        out.push_str(front);
        let digits = behind.get(..2).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        let (digits, byte) = digits.zip(byte).ok_or(SeveralReadings::Encoding)?;
        match byte {
            b'/' | b'\\' => return Err(SeveralReadings::Slash),
            0..0x20 | 0x7f => return Err(SeveralReadings::Encoding),
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = behind.get(2..).unwrap_or_default();
    }
    out.push_str(rest);
    Ok(out)
}

/// RFC 3986, section 5.2.4.
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut all = path.split('/').skip(1).peekable();
    while let Some(segment) = all.next() {
        let last = all.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    segments.pop();
                }
                if last {
                    segments.push("");
                }
            }
            _ => segments.push(segment),
        }
    }
    format!("/{}", segments.join("/"))
}

/// The bytes that a name or a value of a query stands for: `+` is a space, `%41` an `A`.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes().iter();
    while let Some(byte) = bytes.next() {
        match *byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = bytes.as_slice().get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) => {
                        out.push(byte);
                        bytes.nth(1);
                    }
                    None => out.push(b'%'),
                }
            }
            byte => out.push(byte),
        }
    }
    out
}

/// What a rule says of a path. All are compared in the form of [`PathView`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    /// This path and no other.
    Exact(Arc<str>),
    /// This path and all below it, by whole segments: `/api` takes `/api` and `/api/x`, and not `/apix`; `/api/` takes `/api/` and
    /// `/api/x`, and not `/api`.
    Prefix(Arc<str>),
    /// Paths of this form.
    Pattern(PathPattern),
}

/// Why a text is no path of a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// It does not begin with a slash.
    #[error("\"{0}\" is no path: begin with a slash, as in \"/api\"")]
    NoSlash(String),
    /// It has a query or a fragment.
    #[error("\"{0}\" has a question mark or a hash: a path is compared without its query")]
    Query(String),
    /// No request would be compared with it.
    #[error("\"{text}\" is compared with no request: {why}")]
    Several {
        /// The text as written.
        text: String,
        /// Why not.
        why: SeveralReadings,
    },
    /// A segment of a pattern that is none.
    #[error(
        "\"{text}\" has the segment \"{segment}\": a segment is fixed text, \"*\", \"{{name}}\", or as the last \"{{name*}}\""
    )]
    Segment {
        /// The text as written.
        text: String,
        /// The segment.
        segment: String,
    },
    /// A name that stands there twice.
    #[error("\"{text}\" has \"{name}\" twice: give one another name")]
    Twice {
        /// The text as written.
        text: String,
        /// The name.
        name: String,
    },
}

impl PathMatch {
    /// Exactly this path.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn exact(text: &str) -> Result<Self, PathError> {
        form(text).map(Self::Exact)
    }

    /// This path and all below it.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn prefix(text: &str) -> Result<Self, PathError> {
        form(text).map(Self::Prefix)
    }

    /// Whether it is not that of every request.
    pub(super) fn restricts(&self) -> bool {
        !matches!(self, Self::Prefix(path) if &**path == "/")
    }
}

/// A path of a rule in the form in which it is compared.
fn form(text: &str) -> Result<Arc<str>, PathError> {
    if !text.starts_with('/') {
        return Err(PathError::NoSlash(text.to_owned()));
    }
    if text.contains(['?', '#']) {
        return Err(PathError::Query(text.to_owned()));
    }
    let view = PathView::new(text).map_err(|why| PathError::Several { text: text.to_owned(), why })?;
    Ok(view.path().unwrap_or_default().into())
}

/// Paths of one form: `/users/{id}/posts/{rest*}`. `{id}` and `*` stand for one segment that is not empty, `{rest*}` as the last for all
/// that is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    segments: Box<[Segment]>,
    /// The name of what is left, where more may follow.
    rest: Option<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Fixed(Box<str>),
    /// One segment, by that name where it has one.
    One(Option<Box<str>>),
}

impl std::str::FromStr for PathPattern {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let Some(path) = text.strip_prefix('/') else { return Err(PathError::NoSlash(text.to_owned())) };
        let (mut segments, mut names, mut rest) = (Vec::new(), Vec::new(), None);
        let mut all = path.split('/').peekable();
        while let Some(segment) = all.next() {
            let wrong = || PathError::Segment { text: text.to_owned(), segment: segment.to_owned() };
            let name = segment.strip_prefix('{').and_then(|name| name.strip_suffix('}'));
            let bare = name.map(|name| name.strip_suffix('*').unwrap_or(name));
            if bare.is_some_and(|name| !is_name(name))
                || name.is_none() && segment != "*" && segment.contains(['{', '}', '*'])
            {
                return Err(wrong());
            }
            if let Some(name) = bare {
                if names.contains(&name) {
                    return Err(PathError::Twice { text: text.to_owned(), name: name.to_owned() });
                }
                names.push(name);
            }
            match (name, bare) {
                (Some(name), Some(bare)) if name != bare => {
                    if all.peek().is_some() {
                        return Err(wrong());
                    }
                    rest = Some(bare.into());
                }
                (Some(name), _) => segments.push(Segment::One(Some(name.into()))),
                (None, _) if segment == "*" => segments.push(Segment::One(None)),
                (None, _) => {
                    let fixed = form(&format!("/{segment}"))?;
                    segments.push(Segment::Fixed(fixed.get(1..).unwrap_or_default().into()));
                }
            }
        }
        Ok(Self { segments: segments.into(), rest })
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl PathPattern {
    /// How many of its segments are fixed.
    pub(super) fn fixed(&self) -> usize {
        self.segments.iter().filter(|segment| matches!(segment, Segment::Fixed(_))).count()
    }

    /// The names of what it finds.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let of_segments = self.segments.iter().filter_map(|segment| match segment {
            Segment::One(name) => name.as_deref(),
            Segment::Fixed(_) => None,
        });
        of_segments.chain(self.rest.as_deref())
    }

    pub(super) fn matches(&self, view: &PathView<'_>) -> bool {
        view.path().is_some_and(|path| self.walk(path, |_, _| {}))
    }

    /// What the names of the pattern stand for in a path; None where it is not of this form.
    #[must_use]
    pub fn captures<'a>(&'a self, view: &'a PathView<'_>) -> Option<Vec<(&'a str, &'a str)>> {
        let mut found = Vec::new();
        self.walk(view.path()?, |name, value| found.push((name, value))).then_some(found)
    }

    fn walk<'a>(&'a self, path: &'a str, mut see: impl FnMut(&'a str, &'a str)) -> bool {
        let mut left = path.strip_prefix('/');
        for segment in &self.segments {
            let Some(text) = left else { return false };
            let (one, behind) =
                text.split_once('/').map_or((text, None), |(one, behind)| (one, Some(behind)));
            left = behind;
            match segment {
                Segment::Fixed(fixed) if **fixed == *one => {}
                Segment::One(name) if !one.is_empty() => name.iter().for_each(|name| see(name, one)),
                Segment::Fixed(_) | Segment::One(_) => return false,
            }
        }
        match (&self.rest, left) {
            (Some(name), Some(rest)) => {
                see(name, rest);
                true
            }
            (Some(_), None) => false,
            (None, left) => left.is_none(),
        }
    }
}
