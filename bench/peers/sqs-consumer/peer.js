// sqs-consumer as a peer of the bench: node peer.js NAME ENDPOINT URL VISIBILITY SLOTS.
// Starts and ends of handlers go to file 3, as "s NUMBER NANOSECONDS".
const fs = require('node:fs');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const { SQSClient } = require('@aws-sdk/client-sqs');
const { Consumer } = require('sqs-consumer');

const [name, endpoint, queueUrl, visibility, slots] = process.argv.slice(2);
const fast = name.endsWith('-fast');

let lines = '';
const epoch = BigInt(Date.now()) * 1000000n - process.hrtime.bigint();
function say(kind, number) {
  lines += `${kind} ${number} ${epoch + process.hrtime.bigint()}\n`;
}
function flush() {
  if (lines) fs.writeSync(3, lines);
  lines = '';
}
setInterval(flush, 10);
process.on('exit', flush);

async function handle(message) {
  const [number, takes, poison] = message.Body.split(' ', 3);
  say('s', number);
  if (takes > 0) await sleep(takes / 1000);
  if (poison === 'true') {
    say('f', number);
    throw new Error('poison');
  }
  say('e', number);
  return message;
}

// One by one, the rest of a group left out after a failure: what went well is
// returned, and sqs-consumer deletes that.
async function oneByOne(messages) {
  const done = [];
  const failed = new Set();
  for (const message of messages) {
    const group = message.Attributes.MessageGroupId;
    if (failed.has(group)) continue;
    try {
      done.push(await handle(message));
    } catch {
      failed.add(group);
    }
  }
  return done;
}

const sqs = new SQSClient({
  region: 'us-east-1',
  endpoint,
  credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  requestHandler: { httpAgent: new http.Agent({ keepAlive: true, maxSockets: 1000 }) },
});
const common = {
  queueUrl, sqs, batchSize: 10, waitTimeSeconds: 20,
  messageSystemAttributeNames: ['MessageGroupId'],
  heartbeatInterval: Math.max(1, Math.floor(visibility / 2)),
  visibilityTimeout: Number(visibility),
  suppressFifoWarning: true,
};
const consumers = Array.from({ length: fast ? Math.ceil(slots / 10) : Number(slots) }, () => Consumer.create(
  fast ? { ...common, handleMessage: handle } : { ...common, handleMessageBatch: oneByOne, pollingCompleteWaitTimeMs: 25000 },
));
for (const c of consumers) {
  c.on('error', () => {});
  c.on('processing_error', () => {});
  c.start();
}

// A stop ends the open polls; sqs-consumer waits for what it handles.
process.on('SIGTERM', async () => {
  await Promise.all(consumers.map((c) => new Promise((stopped) => {
    c.on('stopped', stopped);
    c.stop(fast ? undefined : { abort: false });
  })));
  process.exit(0);
});
