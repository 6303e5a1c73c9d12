import { expect, test, vi } from 'vitest';
import type { Conversation, Message, Reply } from '../client/protocol';
import { fileName, importFile, markdownOf } from './export';

const conversation: Conversation = { id: 'c', title: 'Tea\nand  more', head: 'r', running: [], created_at: '', updated_at: '' };
const question: Message = {
  ...{ id: 'q', parent: null, role: 'user', status: 'completed', created_at: '', text: 'Is there *tea*?' },
  parts: [{ type: 'text', text: 'Is there *tea*?' }, { type: 'image', url: 'https://example.org/tea.png' }],
};
const reply: Reply = {
  ...{ id: 'r', parent: 'q', role: 'assistant', status: 'completed', created_at: '', text: 'There **is**.', responder: 'mock' },
  ...{ started_at: '', first_token_at: '', ended_at: '2026-01-01T00:00:00Z', finish_reason: 'stop', usage: null, error: null },
  parts: [
    { type: 'reasoning', text: 'Hm.\nLook.' },
    { type: 'tool_call', call_id: '1', name: 'look', arguments: '{"where":"pot"}' },
    { type: 'tool_result', call_id: '1', result: 'a ``` fence' },
    { type: 'text', text: 'There **is**.' },
  ],
};

test('a branch as Markdown says who said what', () => {
  expect(markdownOf(conversation, [question, reply])).toBe(`# Tea and more

## You

Is there *tea*?

Image: https://example.org/tea.png

## Reply by mock

> Thoughts:
>
> Hm.
> Look.

Calls look:

\`\`\`json
{
  "where": "pot"
}
\`\`\`

Result:

\`\`\`\`
a \`\`\` fence
\`\`\`\`

There **is**.
`);
});

test('how a reply ended is told where it has to be', () => {
  const failed: Reply = { ...reply, parts: [], status: 'failed', error: { code: 'x', message: 'no tea' } };
  const running: Reply = { ...reply, status: 'running', ended_at: null };

  expect(markdownOf(conversation, [failed])).toContain('*Failed: no tea*');
  expect(markdownOf(conversation, [running])).toContain('*Not ended yet.*');
});

test.each([
  ['Is there tea?', 'Is there tea.md'],
  ['../../etc/passwd', 'etc passwd.md'],
  ['a\u202egnp\u0000.exe', 'a gnp exe.md'],
  ['  ', 'conversation.md'],
  ['CON', 'conversation.md'],
  ['💡'.repeat(100), `${'💡'.repeat(60)}.md`],
  ['茶はありますか', '茶はありますか.md'],
])('the title %j is the file %j', (title, name) => {
  expect(fileName(title, 'md')).toBe(name);
});

test('a file that is larger than the server takes is not even read', async () => {
  vi.stubGlobal('fetch', () => Promise.resolve(Response.json({ max_import_bytes: 10 })));
  const file = new File(['{"much": "too much"}'], 'large.json');
  const read = vi.spyOn(file, 'text');

  await expect(importFile(file)).rejects.toThrow('too large: a conversation to be imported holds 10 bytes at most');
  expect(read).not.toHaveBeenCalled();
  vi.unstubAllGlobals();
});
