/** The objects, events and control frames of docs/protocol.md, as they travel. */

export type Role = 'system' | 'user' | 'assistant' | 'tool';
export type Ending = 'completed' | 'failed' | 'cancelled' | 'interrupted';
export type Status = 'accepted' | 'running' | Ending;

export type Part =
  | { type: 'text' | 'reasoning'; text: string }
  | { type: 'tool_call'; call_id: string; name: string; arguments: string }
  | { type: 'tool_result'; call_id: string; result: string }
  | { type: 'image'; url: string };

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
  partial?: boolean;
  estimated?: boolean;
}

/** What a snapshot holds of a message that is far back. */
export interface Outline {
  id: string;
  parent: string | null;
  role: Role;
  status: Status;
}

export interface Message extends Outline {
  parts: Part[];
  text: string;
  created_at: string;
}

export interface Reply extends Message {
  responder: string;
  started_at: string | null;
  first_token_at: string | null;
  ended_at: string | null;
  finish_reason: string | null;
  usage: Usage | null;
  error: { code: string; message: string } | null;
}

export interface Conversation {
  id: string;
  title: string;
  head: string | null;
  running: string[];
  created_at: string;
  updated_at: string;
}

type Piece = { reply_id: string; part: number; at?: string };

export type LogEvent =
  | { type: 'message.created'; message: Message }
  | { type: 'reply.created'; reply: Reply }
  | { type: 'reply.started'; reply_id: string; at: string }
  | ({ type: 'reply.delta'; text: string; kind?: 'reasoning' } & Piece)
  | ({ type: 'reply.tool_call'; call_id: string; name: string; arguments: string } & Piece)
  | ({ type: 'reply.tool_result'; call_id: string; result: string } & Piece)
  | {
      type: 'reply.ended';
      reply_id: string;
      status: Ending;
      text: string;
      text_sha256: string;
      finish_reason: string | null;
      usage: Usage;
      error?: { code: string; message: string };
      at: string;
    }
  | { type: 'conversation.updated'; conversation: Conversation }
  | { type: 'conversation.deleted' };

export type ControlFrame =
  | { type: 'hello'; stream: string; epoch: string | null; cursor: string | null; resumed: boolean; reason: string | null }
  | { type: 'snapshot'; conversation: Conversation; messages: (Message | Outline)[]; cursor: string }
  | { type: 'ping'; cursor: string }
  | { type: 'bye'; reason: string; retry_after?: number };

export type Frame = LogEvent | ControlFrame;

/** What the list of conversations sends. */
export type ListFrame =
  | { type: 'snapshot'; conversations: Conversation[] }
  | { type: 'conversation.changed'; conversation: Conversation }
  | { type: 'conversation.deleted'; id: string }
  | Extract<ControlFrame, { type: 'hello' | 'ping' | 'bye' }>;

/** A responder as `GET /responders` tells of it; `options` is JSON Schema. */
export interface Responder {
  name: string;
  description: string;
  options: Record<string, unknown>;
}

/** What answers `POST /conversations`, `.../messages` and `.../retry`. */
export interface Asked {
  conversation: Conversation;
  message?: Message;
  reply: Reply;
  cursor: string;
  events: string;
}

/** The event types that a page listens for; what it does not know is for a later one. */
export const FRAME_TYPES: readonly string[] = [
  'hello',
  'snapshot',
  'ping',
  'bye',
  'message.created',
  'reply.created',
  'reply.started',
  'reply.delta',
  'reply.tool_call',
  'reply.tool_result',
  'reply.ended',
  'conversation.updated',
  'conversation.deleted',
  'conversation.changed',
  'message',
];

/** The responder of a reply that a client brought along with what went before. */
export const CLIENT = 'client';

export const isWhole = (message: Message | Outline): message is Message => 'parts' in message;
export const isReply = (message: Message | Outline): message is Reply => 'responder' in message;
export const isLive = ({ status }: Outline): boolean => status === 'accepted' || status === 'running';
