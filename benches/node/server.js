// Shows every series of a scrape (argv 2: text 0.0.4) with prom-client, on a port of loopback (argv 3).
// One gauge for each name, with the same labels and values: less work for it than histograms would be.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const client = require("prom-client");

const samples = new Map();
for (const line of fs.readFileSync(process.argv[2], "utf8").split("\n")) {
  const parts = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line);
  if (!parts || line.startsWith("#")) continue;
  const labels = {};
  for (const [, name, value] of (parts[2] || "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[name] = value;
  if (!samples.has(parts[1])) samples.set(parts[1], []);
  samples.get(parts[1]).push([labels, Number(parts[3])]);
}

const registry = new client.Registry();
for (const [name, rows] of samples) {
  const gauge = new client.Gauge({
    name,
    help: name,
    labelNames: Object.keys(rows[0][0]),
    registers: [registry],
  });
  for (const [labels, value] of rows) gauge.set(labels, value);
}

http
  .createServer(async (request, response) => {
    response.setHeader("content-type", registry.contentType);
    response.end(await registry.metrics());
  })
  .listen(Number(process.argv[3]), "127.0.0.1");
