//! A name server that says what a test has it say.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

/// What it says.
#[derive(Debug, Clone)]
pub(super) enum Says {
    Addrs(Vec<IpAddr>, u32),
    /// Another name with its time to live, and the addresses of that.
    Alias(&'static str, u32, Vec<IpAddr>, u32),
    /// Servers of a service: priority, weight, port, host; and their time to live.
    Servers(Vec<(u16, u16, u16, &'static str)>, u32),
    /// The same of another name, which is one for it.
    ServersOf(&'static str, Vec<(u16, u16, u16, &'static str)>, u32),
    Gone,
    NoData,
    ServFail,
    Refused,
    FormErr,
    Truncated,
    Silence,
    Late(Duration, Box<Self>),
}

/// What it is asked.
pub(super) struct Ask<'a> {
    pub(super) name: &'a str,
    pub(super) is_v6: bool,
    pub(super) is_tcp: bool,
    pub(super) has_edns: bool,
    /// How often it was asked the same before.
    pub(super) asked_before: usize,
}

type Script = dyn Fn(&Ask<'_>) -> Says + Send + Sync;

/// A name server. Dropped, it is gone.
pub(super) struct NameServer {
    pub(super) addr: SocketAddr,
    desk: Arc<Desk>,
    tasks: Vec<JoinHandle<()>>,
}

struct Desk {
    script: Box<Script>,
    asked: Mutex<Vec<String>>,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl NameServer {
    pub(super) async fn new(script: impl Fn(&Ask<'_>) -> Says + Send + Sync + 'static) -> Self {
        let (udp, tcp) = sockets().await;
        let addr = udp.local_addr().unwrap();
        let desk = Arc::new(Desk { script: Box::new(script), asked: Mutex::default() });
        #[expect(clippy::disallowed_methods, reason = "a test's server")]
        let tasks = vec![
            tokio::spawn(over_udp(Arc::new(udp), Arc::clone(&desk))),
            tokio::spawn(over_tcp(tcp, Arc::clone(&desk))),
        ];
        Self { addr, desk, tasks }
    }

    /// An address where there is none.
    pub(super) fn closed() -> Self {
        let addr = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let desk = Desk { script: Box::new(|_| Says::Silence), asked: Mutex::default() };
        Self { addr, desk: Arc::new(desk), tasks: Vec::new() }
    }

    /// What it was asked, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        self.desk.asked.lock().clone()
    }

    pub(super) fn forget(&self) {
        self.desk.asked.lock().clear();
    }
}

/// Both on one port.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's server")]
async fn over_udp(socket: Arc<UdpSocket>, desk: Arc<Desk>) {
    let mut buf = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buf).await else { continue };
        let (socket, desk, query) = (Arc::clone(&socket), Arc::clone(&desk), buf[..length].to_vec());
        drop(tokio::spawn(async move {
            if let Some(answer) = desk.answer(&query, false).await {
                socket.send_to(&answer, from).await.unwrap();
            }
        }));
    }
}

#[expect(clippy::disallowed_methods, reason = "a test's server")]
async fn over_tcp(listener: TcpListener, desk: Arc<Desk>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let desk = Arc::clone(&desk);
        drop(tokio::spawn(async move { converse(stream, &desk).await.unwrap_or_default() }));
    }
}

async fn converse(mut stream: TcpStream, desk: &Desk) -> std::io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut query = vec![0; length.into()];
        stream.read_exact(&mut query).await?;
        if let Some(answer) = desk.answer(&query, true).await {
            stream.write_u16(u16::try_from(answer.len()).unwrap()).await?;
            stream.write_all(&answer).await?;
        }
    }
}

impl Desk {
    async fn answer(&self, query: &[u8], is_tcp: bool) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).unwrap();
        let asked = query.queries.first().unwrap().clone();
        let name = asked.name().to_ascii().to_lowercase();
        let is_v6 = asked.query_type() == RecordType::AAAA;
        let said = format!("{name} {}{}", asked.query_type(), if is_tcp { " over TCP" } else { "" });
        let asked_before = {
            let mut all = self.asked.lock();
            all.push(said.clone());
            all.iter().filter(|one| **one == said).count() - 1
        };
        let has_edns = query.edns.is_some();
        let mut says = (self.script)(&Ask { name: &name, is_v6, is_tcp, has_edns, asked_before });
        if let Says::Late(after, then) = says {
            tokio::time::sleep(after).await;
            says = *then;
        }
        let mut answer = Message::response(query.metadata.id, OpCode::Query);
        answer.add_query(asked.clone());
        write(&mut answer, asked.name(), says).then(|| answer.to_vec().unwrap())
    }
}

fn server(name: &Name, ttl: u32) -> impl Fn((u16, u16, u16, &'static str)) -> Record {
    move |(priority, weight, port, host)| {
        let data = SRV::new(priority, weight, port, Name::from_ascii(host).unwrap());
        Record::from_rdata(name.clone(), ttl, RData::SRV(data))
    }
}

/// Whether it says anything.
fn write(answer: &mut Message, name: &Name, says: Says) -> bool {
    let data = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => RData::A(A(ip)),
        IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
    };
    match says {
        Says::Addrs(addrs, ttl) => {
            let record = |ip| Record::from_rdata(name.clone(), ttl, data(ip));
            answer.add_answers(addrs.into_iter().map(record));
        }
        Says::Alias(real, alias_ttl, addrs, ttl) => {
            let real = Name::from_ascii(real).unwrap();
            answer.add_answer(Record::from_rdata(name.clone(), alias_ttl, RData::CNAME(CNAME(real.clone()))));
            answer.add_answers(addrs.into_iter().map(|ip| Record::from_rdata(real.clone(), ttl, data(ip))));
        }
        Says::Servers(servers, ttl) => {
            answer.add_answers(servers.into_iter().map(server(name, ttl)));
        }
        Says::ServersOf(real, servers, ttl) => {
            let real = Name::from_ascii(real).unwrap();
            answer.add_answer(Record::from_rdata(name.clone(), ttl, RData::CNAME(CNAME(real.clone()))));
            answer.add_answers(servers.into_iter().map(server(&real, ttl)));
        }
        Says::Gone => answer.metadata.response_code = ResponseCode::NXDomain,
        Says::NoData => {}
        Says::ServFail => answer.metadata.response_code = ResponseCode::ServFail,
        Says::Refused => answer.metadata.response_code = ResponseCode::Refused,
        Says::FormErr => answer.metadata.response_code = ResponseCode::FormErr,
        Says::Truncated => answer.metadata.truncation = true,
        Says::Silence | Says::Late(..) => return false,
    }
    true
}
