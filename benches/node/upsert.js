// What the old module does, with the client that it uses: pages on standard input, each after its length in four
// bytes; of each row a prepared select and an insert .. on conflict, one after the other. Answers each page with its
// number of rows. Arguments: folder of PostgreSQL's socket, user, database. The table has the columns, types and
// indexes of the Rust client's.
"use strict";

const { Client } = require("pg");

const COLUMNS = [
  ["sid", "Sid", "text"],
  ["parent_call_sid", "ParentCallSid", "text"],
  ["date_created", "DateCreated", "timestamp"],
  ["date_updated", "DateUpdated", "timestamp"],
  ["account_sid", "AccountSid", "text"],
  ["to_number", "To", "text"],
  ["from_number", "From", "text"],
  ["phone_number", "PhoneNumber", "text"],
  ["phone_number_sid", "PhoneNumberSid", "text"],
  ["status", "Status", "text"],
  ["start_time", "StartTime", "timestamp"],
  ["end_time", "EndTime", "timestamp"],
  ["duration", "Duration", "integer"],
  ["price", "Price", "numeric"],
  ["direction", "Direction", "text"],
  ["answered_by", "AnsweredBy", "text"],
  ["forwarded_from", "ForwardedFrom", "text"],
  ["caller_name", "CallerName", "text"],
  ["uri", "Uri", "text"],
  ["custom_field", "CustomField", "text"],
  ["recording_url", "RecordingUrl", "text"],
];

const names = [...COLUMNS.map(([name]) => name), "conversation_duration", "raw"];
const values = [
  ...COLUMNS.map(([, , type], n) => `$${n + 1}::text::${type}`),
  `$${COLUMNS.length + 1}::integer`,
  `$${COLUMNS.length + 2}::text::jsonb`,
];
const sets = names.slice(1).map((name) => `${name} = excluded.${name}`);
const SELECT = "SELECT status, date_updated::text FROM calls_node WHERE sid = $1";
const UPSERT =
  `INSERT INTO calls_node (${names.join(", ")}) VALUES (${values.join(", ")}) ` +
  `ON CONFLICT (sid) DO UPDATE SET ${sets.join(", ")}`;

async function takeIn(client, body) {
  const rows = JSON.parse(body.toString("utf8")).Calls;
  for (const row of rows) {
    await client.query({ name: "select", text: SELECT, values: [row.Sid] });
    const cells = COLUMNS.map(([, field]) => row[field]);
    const talk = row.Details ? row.Details.ConversationDuration : null;
    await client.query({ name: "upsert", text: UPSERT, values: [...cells, talk, JSON.stringify(row)] });
  }
  return rows.length;
}

async function main() {
  const [host, user, database] = process.argv.slice(2);
  const client = new Client({ host, user, database });
  await client.connect();
  await client.query("DROP TABLE IF EXISTS calls_node; CREATE TABLE calls_node (LIKE calls INCLUDING ALL)");
  let pending = Buffer.alloc(0);
  for await (const chunk of process.stdin) {
    pending = Buffer.concat([pending, chunk]);
    while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32BE(0)) {
      const end = 4 + pending.readUInt32BE(0);
      const body = pending.subarray(4, end);
      pending = pending.subarray(end);
      process.stdout.write(`${await takeIn(client, body)}\n`);
    }
  }
  await client.end();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
