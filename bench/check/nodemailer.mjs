// The process of nodemailer: speaks what worker.py speaks, one JSON object a line.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");

let nodemailer;
try {
  nodemailer = require("nodemailer");
} catch {
  say({ missing: "npm ci --prefix bench/check" });
  process.exit(0);
}

const tls = require("node:tls");
const createSecureContext = tls.createSecureContext;
let made = 0;
tls.createSecureContext = (...words) => {
  made += 1;
  return createSecureContext(...words);
};

const memory = (name) =>
  Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(readFileSync("/proc/self/status", "utf8"))[1]);
const threads = () => Number(/^Threads:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))[1]);
const now = () => Number(process.hrtime.bigint()) / 1e9;

async function one(job) {
  const transport = nodemailer.createTransport({
    host: job.host,
    port: job.port,
    name: "[127.0.0.1]",
    secure: job.tls === "implicit",
    requireTLS: true,
    auth: { user: job.user, pass: job.password },
  });
  const sent = await transport.sendMail({
    from: job.sender,
    to: job.recipient,
    subject: "Test mail of an SMTP server check",
    text: "This is a test mail. It was sent to find out whether this SMTP server takes mail.\n",
  });
  return sent.accepted.length === 1;
}

async function measure(job) {
  globalThis.gc?.();
  writeFileSync("/proc/self/clear_refs", "5");
  const before = { memory: memory("VmRSS"), made, cpu: process.cpuUsage() };
  const walls = [];
  let accepted = 0;
  let why = "";
  let began = now();
  try {
    if (job.at_once) {
      const all = await Promise.all(Array.from({ length: job.count }, () => one(job)));
      accepted = all.filter(Boolean).length;
      walls.push(now() - began);
    } else {
      for (let number = 0; number < job.count; number += 1) {
        began = now();
        accepted += (await one(job)) ? 1 : 0;
        walls.push(now() - began);
      }
    }
  } catch (error) {
    why = String(error).slice(0, 300);
  }
  const cpu = process.cpuUsage(before.cpu);
  return {
    walls,
    cpu: (cpu.user + cpu.system) / 1e6,
    contexts: made - before.made,
    memory: memory("VmHWM") - before.memory,
    threads: threads(),
    failed: job.count - accepted,
    why,
  };
}

say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  say(await measure(JSON.parse(line)));
}
