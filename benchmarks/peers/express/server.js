// The source article's server, and beside it a chat that streams its tokens to whoever asks. Nothing is stored.
import { randomUUID } from "node:crypto";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import express from "express";

const WORDS = ["the ", "gulls ", "want ", "bread ", "and ", "the ", "ferry ", "whistles "];
const STREAM = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache", Connection: "keep-alive" };
const tellsJoins = process.env.TELL_JOINS === "yes";

const app = express();
app.use(express.json());

const clients = new Map();
let joined = 0;

function broadcast(text) {
  for (const response of clients.values()) response.write(`data: ${text}\n\n`);
}

app.get("/events", (request, response) => {
  const id = ++joined;
  response.writeHead(200, STREAM);
  response.flushHeaders();
  clients.set(id, response);
  response.on("close", () => clients.delete(id));
  if (tellsJoins) broadcast("A new user joined!");
});

app.post("/send-message", (request, response) => {
  broadcast(request.body.message);
  response.send("Message sent successfully!");
});

// What model.py does.
async function* speak(tokens, perSecond, burst) {
  const start = process.hrtime.bigint();
  const begin = performance.now();
  yield `${start} `;
  for (let number = 1; number < tokens; number++) {
    if (perSecond) {
      const wait = begin + (number * 1000) / perSecond - performance.now();
      if (wait > 0) await sleep(wait);
    } else if (!burst) await turn();
    yield WORDS[number % WORDS.length];
  }
}

app.post("/chat", async (request, response) => {
  const { tokens = 200, per_second, burst = false } = request.body;
  response.writeHead(200, STREAM);
  for await (const token of speak(tokens, per_second, burst)) {
    if (response.closed) return;
    response.write(`data: ${JSON.stringify({ text: token })}\n\n`);
  }
  response.end();
});

app.post("/v1/chat/completions", async (request, response) => {
  const { model, tokens = 200, per_second, burst = false } = request.body;
  const id = `chatcmpl-${randomUUID()}`;
  const created = Math.floor(Date.now() / 1000);
  const write = (delta, finish_reason = null) => {
    const choices = [{ index: 0, delta, finish_reason }];
    response.write(`data: ${JSON.stringify({ id, object: "chat.completion.chunk", created, model, choices })}\n\n`);
  };
  response.writeHead(200, STREAM);
  write({ role: "assistant", content: "" });
  for await (const token of speak(tokens, per_second, burst)) {
    if (response.closed) return;
    write({ content: token });
  }
  write({}, "stop");
  response.end("data: [DONE]\n\n");
});

const server = app.listen(Number(process.env.PORT), "127.0.0.1");
server.keepAliveTimeout = 60_000;
