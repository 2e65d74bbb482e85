//! What Exotel sends by itself, how it looks, and what goes wrong on the way.

use std::time::Duration;

use super::calls::Delay;

/// What Exotel sends by itself, and what goes wrong on the way.
#[derive(Clone, Debug)]
pub struct Webhooks {
    /// Where to: `http://127.0.0.1:10043/webhooks/{account}/SECRET`, to which `/heartbeat`, `/calls`,
    /// `/sms` and `/passthru` are added; `{account}` stands for the account's sid. Nothing is sent without.
    pub base: Option<String>,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// How long after each failed attempt the next one follows; then the webhook is lost.
    pub retry_after: Vec<Duration>,
    /// From the event to the first attempt.
    pub delay: Delay,
    /// Share of callbacks (heartbeats too) that are never sent.
    pub lost_share: f64,
    /// Share of callbacks that are sent twice.
    pub doubled_share: f64,
    /// When the second one follows the first.
    pub doubled_after: Delay,
    /// Share of callbacks that come late, perhaps behind later ones.
    pub disordered_share: f64,
    /// How late those are.
    pub disordered_by: Delay,
    /// About calls that were made through the API.
    pub calls: CallCallbacks,
    /// From the flow of inbound calls.
    pub passthru: Passthru,
    /// About the health of all numbers.
    pub heartbeats: Heartbeats,
    /// About messages.
    pub reports: Reports,
}

/// Callbacks about calls that were made through the API.
#[derive(Clone, Copy, Debug)]
pub struct CallCallbacks {
    /// Which events were asked for.
    pub events: Events,
    /// Form of the body.
    pub body: Body,
    /// Which keys they have.
    pub keys: CallKeys,
    /// Which calls have them.
    pub reach: Reach,
    /// Share of those calls that were made through CCM, whose callbacks look otherwise.
    pub ccm_share: f64,
    /// Share of calls whose final callback says another status and talk than the API.
    pub contradicted_share: f64,
    /// Share of calls beside which a callback comes for a call that the API never shows.
    pub phantom_share: f64,
}

/// `StatusCallbackEvents`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// None were named: one callback with four keys at the end.
    Unnamed,
    /// `terminal` alone.
    Terminal,
    /// `answered` for each leg, then `terminal`.
    AnsweredAndTerminal,
}

/// Keys of a callback with events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKeys {
    /// Those of the reference.
    Usual,
    /// Also those that one page names: `CallFrom`, `CallTo`, `CallType`, Duration, Price.
    More,
}

/// Form of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// `multipart/form-data`, Exotel's default.
    Multipart,
    /// `application/x-www-form-urlencoded`.
    Urlencoded,
    /// `application/json`.
    Json,
    /// Any of them, call by call.
    Mixed,
}

/// Which calls have callbacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those made through the API, as documented.
    ApiCalls,
    /// All, by a URL for the whole account.
    AllCalls,
}

/// The Passthru applet in the flow of inbound calls.
#[derive(Clone, Copy, Debug)]
pub struct Passthru {
    /// Share of inbound calls whose flow comes by it.
    pub share: f64,
    /// How it asks.
    pub method: PassthruMethod,
    /// Share of those that carry digits, Call Insights and `CallStatus`.
    pub insights_share: f64,
    /// Whether the Connect applet tells of the agent: `Dial`, `Ringing`, `Answered`, `Terminal`.
    pub agent_events: AgentEvents,
}

/// How the Passthru applet asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassthruMethod {
    /// `GET` with a query.
    Get,
    /// `POST` with an urlencoded body.
    Post,
    /// Either, call by call.
    Mixed,
}

/// Agent events of the Connect applet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentEvents {
    /// None.
    Missing,
    /// Each.
    Sent,
}

/// Heartbeats.
#[derive(Clone, Copy, Debug)]
pub struct Heartbeats {
    /// Time between two; none are sent without.
    pub every: Option<Duration>,
    /// What stands under `data` for an affected number.
    pub shape: HeartbeatShape,
    /// How "none affected" is written.
    pub none_affected: NoneAffected,
    /// With more numbers affected than this the details are left out: `PAYLOAD_TOO_LARGE`.
    pub too_large_above: Option<u16>,
}

/// What stands under `data` for an affected number; each was seen somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeartbeatShape {
    /// `{"incoming_call": {…}}`, affected lines only.
    Lines,
    /// `{"phone_number_sid", "phone_number", "connectivity": {…}}`.
    Connectivity,
    /// `{"phone_number"}`.
    PhoneNumber,
    /// Any of them, heartbeat by heartbeat.
    Mixed,
}

/// An empty list of affected numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoneAffected {
    /// `null`, always so for OK.
    Null,
    /// `[]`, but `null` for OK.
    Empty,
    /// The key is missing, but `null` for OK.
    Missing,
}

/// Delivery reports of messages.
#[derive(Clone, Copy, Debug)]
pub struct Reports {
    /// Their form.
    pub form: ReportForm,
    /// Share of messages of which a report comes before their end too.
    pub pending_share: f64,
}

/// Form of a delivery report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportForm {
    /// Eight keys, urlencoded.
    Usual,
    /// Three keys, urlencoded.
    Legacy,
    /// JSON with `ExoStatusCode`.
    Json,
    /// Any of them, message by message.
    Mixed,
}

impl Default for Webhooks {
    /// As documented, and nothing goes wrong. Sent nowhere.
    fn default() -> Self {
        Self {
            base: None,
            timeout: Duration::from_secs(15),
            retry_after: vec![Duration::from_secs(5 * 60), Duration::from_secs(15 * 60)],
            delay: Delay::seconds(0.2, 2.0),
            lost_share: 0.0,
            doubled_share: 0.0,
            doubled_after: Delay::seconds(0.0, 5.0),
            disordered_share: 0.0,
            disordered_by: Delay::seconds(5.0, 300.0),
            calls: CallCallbacks {
                events: Events::AnsweredAndTerminal,
                body: Body::Multipart,
                keys: CallKeys::Usual,
                reach: Reach::ApiCalls,
                ccm_share: 0.0,
                contradicted_share: 0.0,
                phantom_share: 0.0,
            },
            passthru: Passthru {
                share: 1.0,
                method: PassthruMethod::Get,
                insights_share: 0.0,
                agent_events: AgentEvents::Missing,
            },
            heartbeats: Heartbeats {
                every: Some(Duration::from_secs(300)),
                shape: HeartbeatShape::Lines,
                none_affected: NoneAffected::Null,
                too_large_above: None,
            },
            reports: Reports { form: ReportForm::Usual, pending_share: 0.0 },
        }
    }
}
