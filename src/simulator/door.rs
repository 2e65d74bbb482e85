//! The front door: every request passes here, is noted, checked, counted, perhaps spoilt, answered.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Uri, header};
use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, Break, Form, set_header};
use super::call::Tick;
use super::faults::{Fault, RetryAfter};
use super::limit::{Arrival, Pass, PathKind, Pool, Verdict};
use super::newer::{self, Version};
use super::options::{ExoPhoneHealth, ExoPhoneLists, NewerAccess, RateHeaders};
use super::params::pairs;
use super::query::Extras;
use super::random::{Dice, Stream};
use super::row::{Row, xml};
use super::world::{Sheet, World};
use super::{AccountState, Simulator, balance, bulk, exophones, lock};

/// Most bytes of a form that are read.
const LARGEST_FORM: usize = 64 * 1024;

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Target<'a> {
    Bulk,
    Call { sid: &'a str, form: Form },
    CallV2(&'a str),
    CallV3(&'a str),
    LegsV3(&'a str),
    Connect,
    ExoPhonesV1,
    ExoPhonesV2Beta,
    ExoPhone(&'a str),
    ExoPhoneHealth(&'a str),
    Message(&'a str),
    Balance,
    Unknown(Form),
}

impl<'a> Target<'a> {
    /// Account and meaning of a path; no account if it names none.
    fn of(path: &'a str) -> (Option<&'a str>, Self) {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let Some(account) = segments.get(2).copied() else { return (None, Self::Unknown(Form::Json)) };
        let target = match (segments[0], segments[1], &segments[3..]) {
            ("v1", "Accounts", ["Calls.json"]) => Self::Bulk,
            ("v1", "Accounts", ["Calls", "connect.json"]) => Self::Connect,
            ("v1", "Accounts", ["Calls", call]) => match call.strip_suffix(".json") {
                Some(sid) => Self::Call { sid, form: Form::Json },
                None => Self::Call { sid: call, form: Form::Xml },
            },
            ("v1", "Accounts", ["IncomingPhoneNumbers.json"]) => Self::ExoPhonesV1,
            ("v2_beta", "Accounts", ["IncomingPhoneNumbers"]) => Self::ExoPhonesV2Beta,
            ("v2_beta", "Accounts", ["IncomingPhoneNumbers", sid]) => Self::ExoPhone(sid),
            ("v2", "accounts", ["incoming-phone-numbers", sid]) => Self::ExoPhoneHealth(sid),
            ("v1", "Accounts", ["SMS", "Messages", message]) => match message.strip_suffix(".json") {
                Some(sid) => Self::Message(sid),
                None => Self::Unknown(Form::Xml),
            },
            ("v1", "Accounts", ["Balance.json"]) => Self::Balance,
            ("v2", "accounts", ["calls", sid]) => Self::CallV2(sid),
            ("v3", "accounts", ["calls", sid]) => Self::CallV3(sid),
            ("v3", "accounts", ["calls", sid, "legs"]) => Self::LegsV3(sid),
            ("v2" | "v3", "accounts", _) => Self::Unknown(Form::Envelope),
            ("v1", "Accounts", [.., last]) if !last.ends_with(".json") => Self::Unknown(Form::Xml),
            _ => Self::Unknown(Form::Json),
        };
        (Some(account), target)
    }

    fn kind(&self) -> PathKind {
        match self {
            Self::Bulk => PathKind::Bulk,
            Self::Call { .. } | Self::CallV2(_) | Self::CallV3(_) | Self::LegsV3(_) => PathKind::Call,
            Self::Connect => PathKind::Connect,
            Self::ExoPhonesV1 | Self::ExoPhonesV2Beta => PathKind::ExoPhoneList,
            Self::ExoPhone(_) | Self::ExoPhoneHealth(_) => PathKind::ExoPhone,
            Self::Message(_) => PathKind::Message,
            Self::Balance => PathKind::Balance,
            Self::Unknown(_) => PathKind::Unknown,
        }
    }

    fn form(&self) -> Form {
        match self {
            Self::Bulk
            | Self::Connect
            | Self::ExoPhonesV1
            | Self::ExoPhonesV2Beta
            | Self::ExoPhone(_)
            | Self::Message(_)
            | Self::Balance => Form::Json,
            Self::Call { form, .. } | Self::Unknown(form) => *form,
            Self::ExoPhoneHealth(_) | Self::CallV2(_) | Self::CallV3(_) | Self::LegsV3(_) => Form::Envelope,
        }
    }
}

/// Where the caller sits, if the request came over a socket.
pub(super) fn caller(request: &Request) -> Option<SocketAddr> {
    request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0)
}

/// Answers everything but the control paths.
pub(super) async fn enter(State(simulator): State<Simulator>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let (account, target) = Target::of(head.uri.path());
    let found = account.and_then(|sid| simulator.find(sid));
    let Some((number, account)) = found else {
        let text = simulator.options().wire.unauthorized;
        return simulator.dated(Answer::unauthorized(target.form(), text).whole());
    };
    let visit = Visit { simulator: &simulator, number, account, target };
    // Nobody but who makes a call has something to say.
    let body = axum::body::to_bytes(body, LARGEST_FORM).await.unwrap_or_default();
    visit.run(&head, &body).await
}

/// One request to one account.
struct Visit<'a> {
    simulator: &'a Simulator,
    number: usize,
    account: &'a AccountState,
    target: Target<'a>,
}

impl Visit<'_> {
    async fn run(self, head: &Parts, form: &[u8]) -> Response {
        let (arrival, verdict) = self.arrive();
        let serial = self.account.next_request();
        let seed = self.simulator.options().seed ^ self.number as u64;
        let mut dice = Dice::new(seed, Stream::Faults, serial);
        let (fault, slow, after) = {
            let faults = lock(&self.account.faults);
            let slow = Duration::from_secs_f64(faults.slow_seconds);
            (faults.draw(&mut dice), slow, faults.placed_but_failed)
        };
        let luck = dice.bits();

        let refusal = self.refusal(&head.method, &head.headers, verdict);
        let spoilt = if refusal.is_none() { fault } else { None };
        let answer = refusal.unwrap_or_else(|| self.answer(&head.uri, form, fault, luck));
        let answer = match self.target {
            Target::Connect if answer.status == StatusCode::OK && dice.chance(after) => {
                Answer::error(Form::Json, StatusCode::INTERNAL_SERVER_ERROR, "Internal error")
            }
            _ => answer,
        };
        let mut latency = self.latency(serial);
        if spoilt == Some(Fault::Slow) {
            latency += slow;
        }
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }

        let (mut response, cut) = spoil(answer, spoilt, luck);
        self.add_headers(&mut response, verdict);
        let status = if cut { 0 } else { response.status().as_u16() };
        lock(&self.simulator.inner.arrivals).answered(arrival, status);
        self.simulator.dated(response)
    }

    /// Notes the arrival and asks the rate limit, both at the same instant.
    fn arrive(&self) -> (u64, Option<Verdict>) {
        let kind = self.target.kind();
        let mut arrivals = lock(&self.simulator.inner.arrivals);
        let at_millis = self.simulator.inner.clock.monotonic_millis();
        let number = arrivals.note(Arrival { at_millis, account: self.number, kind, status: 0 });
        let gate = match kind.pool() {
            Pool::Voice => &self.account.voice,
            Pool::Exophones => &self.account.exophones,
            Pool::Sms => &self.account.sms,
            Pool::Balance => &self.account.balance,
        };
        (number, lock(gate).arrive(at_millis))
    }

    /// Why the request is not even looked at.
    fn refusal(&self, method: &Method, headers: &HeaderMap, verdict: Option<Verdict>) -> Option<Answer> {
        let form = self.target.form();
        let faults = lock(&self.account.faults).clone();
        if let Some(status) = faults.always.and_then(|status| StatusCode::from_u16(status).ok()) {
            return Some(Answer::error(form, status, status.canonical_reason().unwrap_or("Error")));
        }
        let known = self.account.admits(headers.get(header::AUTHORIZATION).map(|value| value.as_bytes()));
        if !known || faults.key_revoked || self.simulator.is_revoked() {
            return Some(Answer::unauthorized(form, self.simulator.options().wire.unauthorized));
        }
        if verdict.is_some_and(|verdict| verdict.pass == Pass::Refused) {
            let breach = self.simulator.options().limits.sms_breach;
            return Some(match self.target {
                Target::Message(_) => Answer::sms_throttled(breach),
                _ => Answer::throttled(form),
            });
        }
        let right = if self.target == Target::Connect { Method::POST } else { Method::GET };
        if *method != right {
            return Some(Answer::error(form, StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"));
        }
        None
    }

    fn latency(&self, serial: u64) -> Duration {
        let options = self.simulator.options();
        options.latency.draw(&mut Dice::new(options.seed ^ self.number as u64, Stream::Latency, serial))
    }

    fn answer(&self, uri: &Uri, form: &[u8], fault: Option<Fault>, luck: u64) -> Answer {
        match fault {
            Some(Fault::TooManyRequests) => return Answer::throttled(self.target.form()),
            Some(Fault::InternalError) => {
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                return Answer::error(self.target.form(), status, "Internal error");
            }
            Some(Fault::BadGateway) => return Answer::html(StatusCode::BAD_GATEWAY),
            Some(Fault::Unavailable) => return Answer::empty(StatusCode::SERVICE_UNAVAILABLE),
            Some(Fault::Html) => return Answer::html(StatusCode::OK),
            _ => {}
        }
        let clock = &self.simulator.inner.clock;
        let mut world = lock(&self.account.world);
        let now = world.advance(clock.since_epoch());
        let sid = &self.account.account.sid;
        let raw = uri.query().unwrap_or("");
        let lists = self.simulator.options().exophones.lists;
        match &self.target {
            Target::Bulk => bulk::answer(&world, sid, raw, now, fault, luck),
            Target::Connect => connect(&mut world, sid, form),
            Target::Call { sid: call, form } => one_call(&world, sid, call, raw, now, *form),
            Target::CallV2(_) if self.simulator.options().newer.v2 == NewerAccess::Refused => {
                self.not_allowed()
            }
            Target::LegsV3(_) if self.simulator.options().newer.legs == NewerAccess::Refused => {
                self.not_allowed()
            }
            Target::CallV2(call) => self.found(newer::call(&world, call, now, Version::V2)),
            Target::CallV3(call) => self.found(newer::call(&world, call, now, Version::V3)),
            Target::LegsV3(call) => self.found(newer::legs(&world, call, now)),
            Target::ExoPhonesV1 if lists != ExoPhoneLists::Nowhere => {
                list(raw, |part| exophones::list_v1(&world, sid, part))
            }
            Target::ExoPhonesV2Beta if lists == ExoPhoneLists::Both => {
                list(raw, |part| exophones::list_v2_beta(&world, part))
            }
            Target::ExoPhone(phone) if lists == ExoPhoneLists::Both => {
                self.found(exophones::find(&world, phone).map(|n| exophones::one(&world, n)))
            }
            Target::ExoPhoneHealth(phone)
                if self.simulator.options().exophones.health != ExoPhoneHealth::Missing =>
            {
                let outages = lock(&self.account.outages);
                let millis = self.simulator.millis();
                let found = exophones::find(&world, phone);
                self.found(found.map(|n| exophones::health(&world, &outages, n, millis)))
            }
            Target::Message(_) | Target::Balance => self.beside_calls(&world, now),
            _ => self.found(None),
        }
    }

    /// Answers about messages and money.
    fn beside_calls(&self, world: &World, now: Tick) -> Answer {
        let millis = self.simulator.millis();
        let mut messages = lock(&self.account.messages);
        messages.advance(world.options(), millis);
        let Target::Message(sid) = self.target else {
            return balance::answer(world, &messages, now, millis);
        };
        let told = world
            .faces
            .message(sid)
            .and_then(|n| messages.told(world.options(), &world.faces, world.account(), n, millis));
        // An unknown message is no error to Exotel.
        told.map_or_else(
            || Answer::error(Form::Json, StatusCode::OK, "No matching results"),
            |told| Answer::json(told.to_string()),
        )
    }

    fn not_allowed(&self) -> Answer {
        Answer::error(self.target.form(), StatusCode::FORBIDDEN, "Not enabled for this account")
    }

    fn found(&self, value: Option<Value>) -> Answer {
        match value {
            Some(value) => Answer::json(value.to_string()),
            None if matches!(self.target, Target::CallV2(_) | Target::CallV3(_) | Target::LegsV3(_)) => {
                Answer::no_such_call()
            }
            None => Answer::error(self.target.form(), StatusCode::NOT_FOUND, "Resource not found"),
        }
    }

    fn add_headers(&self, response: &mut Response, verdict: Option<Verdict>) {
        let options = self.simulator.options();
        let now = self.simulator.inner.clock.since_epoch();
        if let Some(verdict) = verdict
            && options.limits.headers == RateHeaders::Sent
        {
            let reset = (now + Duration::from_millis(verdict.reset_millis)).as_secs();
            set_header(response, "x-ratelimit-limit", &verdict.limit.to_string());
            set_header(response, "x-ratelimit-remaining", &verdict.remaining.to_string());
            set_header(response, "x-ratelimit-reset", &reset.to_string());
        }
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            let limited = verdict.is_some_and(|verdict| verdict.pass == Pass::Refused);
            let wait =
                if limited { options.limits.retry_after } else { lock(&self.account.faults).retry_after };
            match wait {
                RetryAfter::Missing => {}
                RetryAfter::Seconds(seconds) => set_header(response, "retry-after", &seconds.to_string()),
                RetryAfter::Date(seconds) => {
                    let at = now + Duration::from_secs(u64::from(seconds));
                    set_header(response, "retry-after", &http_date(at));
                }
            }
        }
    }
}

/// A time since the epoch as headers have it.
pub(super) fn http_date(at: Duration) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + at)
}

/// Key and token of a Basic header.
pub(super) fn basic(header: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(header).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    decoded.split_once(':').map(|(key, token)| (key.to_owned(), token.to_owned()))
}

/// Applies a fault that concerns the body; the second value says whether the connection is cut.
fn spoil(answer: Answer, fault: Option<Fault>, luck: u64) -> (Response, bool) {
    match fault {
        Some(Fault::Cut) if luck.is_multiple_of(2) => (answer.cut(Break::BeforeTheFirstByte), true),
        Some(Fault::Cut) => (answer.cut(Break::HalfWay), true),
        Some(Fault::Truncated) => (answer.truncated().whole(), false),
        Some(Fault::Huge) => (answer.huge().whole(), false),
        _ => (answer.whole(), false),
    }
}

fn list(raw: &str, make: impl FnOnce(exophones::Part) -> Value) -> Answer {
    match exophones::Part::parse(raw) {
        Ok(part) => Answer::json(make(part).to_string()),
        Err(message) => Answer::error(Form::Json, StatusCode::BAD_REQUEST, &message),
    }
}

/// Makes a call: `From`, `To` or `Url`, and `CallerId` of an urlencoded form.
///
/// The answer is the row of a call that has just begun.
fn connect(world: &mut World, account: &str, form: &[u8]) -> Answer {
    let refused = |message: &str| Answer::error(Form::Json, StatusCode::BAD_REQUEST, message);
    let text = String::from_utf8_lossy(form);
    let fields = match pairs(&text) {
        Ok(fields) => fields,
        Err(message) => return refused(&message),
    };
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
    let (Some(from), Some(to), Some(_)) = (field("From"), field("To").or(field("Url")), field("CallerId"))
    else {
        return refused("Missing parameter: From, To and CallerId are required");
    };
    let place = world.place(from, to);
    let begun = world.table().call(place).map_or(Tick(0), |call| call.start);
    let Some(sheet) = world.sheet(place, begun) else { return refused("The call cannot be made") };
    // Whatever becomes of it: nothing of it is known yet.
    let sheet = Sheet { status: "in-progress", end: None, duration: None, price: None, ..sheet };
    let row = Row { account, sheet, wire: world.options().wire, extras: Extras::default(), absurdity: None };
    let body = serde_json::to_string(&Single { call: row });
    Answer::json(body.expect("texts and numbers can be written as JSON"))
}

#[derive(Serialize)]
struct Single<'a> {
    #[serde(rename = "Call")]
    call: Row<'a>,
}

/// `{"Call": {…}}`, for calls that go on too.
fn one_call(world: &World, account: &str, sid: &str, raw: &str, now: Tick, form: Form) -> Answer {
    let extras = match Extras::parse(raw) {
        Ok(extras) => extras,
        Err(message) => return Answer::error(form, StatusCode::BAD_REQUEST, &message),
    };
    let known = world.find(sid).filter(|place| newer::knows(world, *place, Version::V1));
    let Some(sheet) = known.and_then(|place| world.sheet(place, now)) else {
        return Answer::error(form, StatusCode::NOT_FOUND, "The requested call was not found");
    };
    let row = Row { account, sheet, wire: world.options().wire, extras, absurdity: None };
    if form == Form::Xml {
        return Answer::xml(xml(&row));
    }
    let body = serde_json::to_string(&Single { call: row });
    Answer::json(body.expect("texts and numbers can be written as JSON"))
}
