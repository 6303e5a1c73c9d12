// The AI SDK's own chat, which `useChat` wraps, against a server: one conversation with everything that it offers.
// Arguments: the server's URL. Prints what the client holds after each step, as one JSON object.
import { AbstractChat, DefaultChatTransport } from 'ai';

class State {
  status = 'ready';
  error = undefined;
  messages = [];
  pushMessage = (message) => this.messages.push(message);
  popMessage = () => this.messages.pop();
  replaceMessage = (index, message) => (this.messages[index] = message);
  snapshot = (value) => structuredClone(value);
}

class Chat extends AbstractChat {
  constructor(id, body = {}, messages = []) {
    const transport = new DefaultChatTransport({ api: `${process.argv[2]}/api/chat`, body });
    super({ id, transport, state: Object.assign(new State(), { messages }) });
  }

  /** Resolve when the last message's text holds as much. */
  async until(words) {
    while (text(this.lastMessage ?? { parts: [] }).split(' ').length <= words) await new Promise((next) => setTimeout(next, 5));
  }

  held() {
    const messages = this.messages.map(({ id, role, parts }) => ({ id, role, text: text({ parts }), parts }));
    return { status: this.status, error: this.error?.message ?? null, messages };
  }
}

const text = ({ parts }) => parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('');
const steps = {};

const echo = new Chat('by-the-sdk', { model: 'echo' });
await echo.sendMessage({ text: 'Hello there' });
steps.first = echo.held();
await echo.sendMessage({ text: 'And then?' });
steps.second = echo.held();
await echo.regenerate();
steps.regenerated = echo.held();
await echo.sendMessage({ text: 'Or then?', messageId: echo.messages[2].id });
steps.edited = echo.held();

const slow = { model: 'mock', options: { tokens: 150, tokens_per_second: 100, first_token_delay: 0, seed: 1 } };
const dropped = new Chat('dropped', slow);
const asked = dropped.sendMessage({ text: 'Slowly' });
await dropped.until(5);
await dropped.stop(); // to the server a hang-up
await asked;
steps.dropped = dropped.held();
const resumed = new Chat('dropped', slow, dropped.messages.slice(0, 1));
await resumed.resumeStream();
steps.resumed = resumed.held();
await resumed.resumeStream();
steps.nothing_to_resume = resumed.held();

const tools = new Chat('tools', { model: 'mock', options: { tokens: 5, tokens_per_second: null, tool_call: true, reasoning_tokens: 5, first_token_delay: 0 } });
await tools.sendMessage({ text: 'Use a tool' });
steps.tools = tools.held();

const failed = new Chat('failed', { model: 'mock', options: { tokens: 50, fail_after: 5, first_token_delay: 0 } });
await failed.sendMessage({ text: 'Fail' });
steps.failed = failed.held();
const refused = new Chat('refused', { model: 'nobody' });
await refused.sendMessage({ text: 'Hello?' });
steps.refused = refused.held();

console.log(JSON.stringify(steps));
