//! Members of groups, changed while the proxy runs.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;

use proxy_core::TcpDialer;
use proxy_upstream::Leaving;

use super::api::Api;
use super::body::JsonBody;
use super::targets;
use crate::admin::problem::Problem;
use crate::control::{Changed, MemberError, Wanted};
use proxy_api::model::{self, AddMember, MemberChange, RemoveMember, SetWeight};
use proxy_dataplane::generation::Generation;

type Answer = Result<Json<MemberChange>, Problem>;

/// `POST /v1/targets/weight`.
pub(super) async fn set_weight(
    State(api): State<Arc<Api>>,
    JsonBody(request): JsonBody<SetWeight>,
) -> Answer {
    change(&api, Wanted::Weight(request)).await
}

/// `POST /v1/targets/add`.
pub(super) async fn add(State(api): State<Arc<Api>>, JsonBody(request): JsonBody<AddMember>) -> Answer {
    change(&api, Wanted::Add(request)).await
}

/// `POST /v1/targets/remove`.
pub(super) async fn remove(State(api): State<Arc<Api>>, JsonBody(request): JsonBody<RemoveMember>) -> Answer {
    change(&api, Wanted::Remove(request)).await
}

async fn change(api: &Api, wanted: Wanted) -> Answer {
    let changed = api.control().change_member(wanted).await?;
    Ok(Json(told(&api.proxy(), changed)))
}

/// How the member is now.
fn told(proxy: &Generation<TcpDialer>, changed: Changed) -> MemberChange {
    let Changed { group, target, changed, leaving } = changed;
    let found = targets::groups(proxy).into_iter().find(|one| *one.name == *group);
    let members = found.map_or_else(|| targets::of_route_named(proxy, &group), |group| group.members);
    let member = members.into_iter().find(|member| member.target == target);
    MemberChange {
        group: group.to_string(),
        connections: member.as_ref().map_or(0, |member| member.connections.used),
        member: member.filter(|member| member.state != "removed"),
        target,
        changed,
        leaving: leaving.map(|leaving| match leaving {
            Leaving::Kill => model::Leaving::Kill,
            Leaving::Drain => model::Leaving::Drain,
            Leaving::Keep | _ => model::Leaving::Keep,
        }),
    }
}

impl From<MemberError> for Problem {
    fn from(error: MemberError) -> Self {
        let text = error.to_string();
        match error {
            MemberError::Unknown(_) | MemberError::NoMember { .. } => Self::not_found(text),
            MemberError::Several { .. } | MemberError::Target(_) | MemberError::Weight(_) => {
                Self::bad_request(text)
            }
            MemberError::There { .. }
            | MemberError::Last { .. }
            | MemberError::Refused(_)
            | MemberError::Stopping(_) => Self::conflict(text),
        }
    }
}
