//! What the old module does, as fast as a Rust client can: a `select` and an `insert .. on conflict` for each
//! row, prepared, over a Unix socket, into 22 columns and the row itself as jsonb, with three indexes.

use anyhow::Context as _;
use postgres::types::ToSql;
use postgres::{Client, GenericClient, NoTls, Statement};
use serde_json::Value;

const SCHEMA: &str = "
    DROP TABLE IF EXISTS calls;
    CREATE TABLE calls (
        sid text PRIMARY KEY, parent_call_sid text, date_created timestamp NOT NULL, date_updated timestamp,
        account_sid text, to_number text, from_number text, phone_number text, phone_number_sid text,
        status text, start_time timestamp, end_time timestamp, duration integer, price numeric(12, 6),
        direction text, answered_by text, forwarded_from text, caller_name text, uri text, custom_field text,
        recording_url text, conversation_duration integer, raw jsonb NOT NULL
    );
    CREATE INDEX calls_date_created ON calls (date_created);
    CREATE INDEX calls_status ON calls (status);
";

/// Column, and the field of the row.
const TEXTS: [(&str, &str, &str); 21] = [
    ("sid", "Sid", "text"),
    ("parent_call_sid", "ParentCallSid", "text"),
    ("date_created", "DateCreated", "timestamp"),
    ("date_updated", "DateUpdated", "timestamp"),
    ("account_sid", "AccountSid", "text"),
    ("to_number", "To", "text"),
    ("from_number", "From", "text"),
    ("phone_number", "PhoneNumber", "text"),
    ("phone_number_sid", "PhoneNumberSid", "text"),
    ("status", "Status", "text"),
    ("start_time", "StartTime", "timestamp"),
    ("end_time", "EndTime", "timestamp"),
    ("duration", "Duration", "integer"),
    ("price", "Price", "numeric"),
    ("direction", "Direction", "text"),
    ("answered_by", "AnsweredBy", "text"),
    ("forwarded_from", "ForwardedFrom", "text"),
    ("caller_name", "CallerName", "text"),
    ("uri", "Uri", "text"),
    ("custom_field", "CustomField", "text"),
    ("recording_url", "RecordingUrl", "text"),
];

/// Calls in PostgreSQL.
pub struct Postgres {
    client: Client,
    select: Statement,
    upsert: Statement,
}

/// How rows are committed.
#[derive(Clone, Copy)]
pub enum Commit {
    /// Each by itself.
    Row,
    /// All of a page at once.
    Page,
}

impl Postgres {
    /// An empty table.
    pub fn open(connection: &str) -> anyhow::Result<Self> {
        let mut client = Client::connect(connection, NoTls).context("PostgreSQL cannot be reached")?;
        client.batch_execute(SCHEMA)?;
        let mut columns: Vec<&str> = TEXTS.iter().map(|t| t.0).collect();
        columns.extend(["conversation_duration", "raw"]);
        let mut values: Vec<String> =
            TEXTS.iter().enumerate().map(|(n, t)| format!("${}::text::{}", n + 1, t.2)).collect();
        values.push(format!("${}::integer", TEXTS.len() + 1));
        values.push(format!("${}::text::jsonb", TEXTS.len() + 2));
        let sets: Vec<String> = columns[1..].iter().map(|c| format!("{c} = excluded.{c}")).collect();
        let upsert = format!(
            "INSERT INTO calls ({}) VALUES ({}) ON CONFLICT (sid) DO UPDATE SET {}",
            columns.join(", "),
            values.join(", "),
            sets.join(", ")
        );
        let upsert = client.prepare(&upsert)?;
        let select = client.prepare("SELECT status, date_updated::text FROM calls WHERE sid = $1")?;
        Ok(Self { client, select, upsert })
    }

    /// The server's version.
    pub fn version(&mut self) -> anyhow::Result<String> {
        Ok(self.client.query_one("SHOW server_version", &[])?.get(0))
    }

    /// Bytes of the table with its indexes.
    pub fn size(&mut self) -> anyhow::Result<f64> {
        let size: i64 = self.client.query_one("SELECT pg_total_relation_size('calls')", &[])?.get(0);
        Ok(size as f64)
    }

    /// Takes a page in; returns when it is durable.
    pub fn page(&mut self, body: &[u8], commit: Commit) -> anyhow::Result<()> {
        let page: Value = serde_json::from_slice(body)?;
        let rows = page["Calls"].as_array().context("a page with Calls")?;
        match commit {
            Commit::Row => take_in(&mut self.client, &self.select, &self.upsert, rows),
            Commit::Page => {
                let mut transaction = self.client.transaction()?;
                take_in(&mut transaction, &self.select, &self.upsert, rows)?;
                Ok(transaction.commit()?)
            }
        }
    }
}

fn take_in(
    client: &mut impl GenericClient,
    select: &Statement,
    upsert: &Statement,
    rows: &[Value],
) -> anyhow::Result<()> {
    for row in rows {
        client.query_opt(select, &[&row["Sid"].as_str()])?;
        let texts: Vec<Option<&str>> = TEXTS.iter().map(|(_, field, _)| row[*field].as_str()).collect();
        let talk = row["Details"]["ConversationDuration"].as_i64().and_then(|n| i32::try_from(n).ok());
        let raw = row.to_string();
        let mut values: Vec<&(dyn ToSql + Sync)> = texts.iter().map(|t| t as &(dyn ToSql + Sync)).collect();
        values.push(&talk);
        values.push(&raw);
        client.execute(upsert, &values)?;
    }
    Ok(())
}
