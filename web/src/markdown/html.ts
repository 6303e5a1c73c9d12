/**
 * Markdown tokens as HTML: plain elements of a short list, without classes or handlers.
 *
 * What a model writes as HTML is shown as the text that it is, but for a few inline tags without attributes.
 * It is not to be trusted all the same: `safe.ts` makes nodes of it.
 */
import { Lexer, Parser, Renderer, Tokenizer, type Links, type Token, type Tokens } from 'marked';

const TAG = /^<(\/?)(sub|sup|kbd|mark|u|b|i|s|del|ins|small)>$|^<(br) ?\/?>$/i;
const LINK = /^(https?:\/\/|mailto:)[^\s]/i;
const OURS = 2; // the page has a heading of the first and of the second rank

/** Reading takes time with the square of these; nobody writes more, but to hold the page. */
const DEEPEST = 16;
const LONGEST = 4000;
const WIDEST = 64;

const NAMES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Write a text so that HTML shows exactly it. */
const escape = (text: string) => text.replace(/[&<>"']/g, (sign) => NAMES[sign] ?? '');

/** The same, but Markdown's own `&copy;` stays what it means. */
const soften = (text: string) => text.replace(/&(?!#?\w{1,32};)|[<>"']/g, (sign) => NAMES[sign] ?? '');

class Reader extends Tokenizer {
  #depth = 0;

  override list(src: string) {
    return this.#inside(() => super.list(src));
  }

  override blockquote(src: string) {
    return this.#inside(() => super.blockquote(src));
  }

  override table(src: string) {
    return src.slice(0, src.indexOf('\n')).split('|').length > WIDEST ? undefined : super.table(src);
  }

  /** No blocks of HTML: they are paragraphs whose tags are shown. An open one would swallow all that follows. */
  override html() {
    return undefined;
  }

  /** A tag changes nothing for what follows it: it may only be shown. */
  override tag(src: string) {
    const before = { ...this.lexer.state };
    const token = super.tag(src);
    Object.assign(this.lexer.state, before);
    return token;
  }

  /** `~~so~~` is struck out; one tilde is an "about", as in 5~10. */
  override del(src: string, masked: string, before?: string) {
    return src.startsWith('~~') ? super.del(src, masked, before) : undefined;
  }

  #inside<T>(read: () => T): T | undefined {
    if (this.#depth >= DEEPEST) return undefined;
    this.#depth += 1;
    try {
      return read();
    } finally {
      this.#depth -= 1;
    }
  }
}

/** Reads the inline parts of a text; one that is too long for that is only text. */
class BoundedLexer extends Lexer {
  override inlineTokens(src: string, tokens: Token[] = []): Token[] {
    if (src.length <= LONGEST) return super.inlineTokens(src, tokens);
    tokens.push({ type: 'text', raw: src, text: src });
    return tokens;
  }
}

class Writer extends Renderer {
  #inLink = false;

  override html({ text }: Tokens.HTML | Tokens.Tag) {
    const [, slash, name, line] = TAG.exec(text) ?? [];
    if (line) return '<br>\n';
    return name ? `<${slash}${name.toLowerCase()}>` : escape(text);
  }

  override text(token: Tokens.Text | Tokens.Escape) {
    return 'tokens' in token && token.tokens ? this.parser.parseInline(token.tokens) : soften(token.text);
  }

  override br() {
    return '<br>\n';
  }

  override heading({ tokens, depth }: Tokens.Heading) {
    const rank = Math.min(depth + OURS, 6);
    return `<h${rank}>${this.parser.parseInline(tokens)}</h${rank}>\n`;
  }

  override code({ text, lang }: Tokens.Code) {
    const language = /^[\w+#.-]{1,32}/.exec(lang ?? '')?.[0];
    return `<pre><code${language ? ` class="language-${language}"` : ''}>${escape(text)}</code></pre>\n`;
  }

  override link(token: Tokens.Link) {
    const outer = this.#inLink;
    this.#inLink = true;
    try {
      const shown = token.autolink ? escape(token.text) : this.parser.parseInline(token.tokens);
      return outer ? shown : this.#to(token, shown);
    } finally {
      this.#inLink = outer;
    }
  }

  /** An image is a link to it: to load it would tell a stranger who reads this, and when. */
  override image({ href, title, text, tokens }: Tokens.Image) {
    const alt = soften(tokens ? this.parser.parseInline(tokens, this.parser.textRenderer) : text) || 'Image';
    return this.#inLink ? alt : this.#to({ href, title: title || 'Image' }, alt);
  }

  #to({ href, title, autolink }: { href: string; title?: string | null; autolink?: boolean }, shown: string) {
    if (!LINK.test(href)) return shown;
    const address = autolink ? escape(href) : soften(href);
    return `<a href="${address}"${title ? ` title="${soften(title)}"` : ''}>${shown}</a>`;
  }
}

const settings = { gfm: true, breaks: true, tokenizer: new Reader(), renderer: new Writer() };
const parser = new Parser(settings);

/** No links: also none of those names that every object has. */
export const none = (): Links => Object.create(null) as Links;

/**
 * Read a text as Markdown.
 *
 * `links` are those that are defined elsewhere, and gains those that are defined here.
 * A text that cannot be read (nested so deep that no stack holds it) is one block of code.
 */
export function read(text: string, links = none()): Token[] {
  const lexer = new BoundedLexer(settings);
  lexer.tokens.links = links;
  try {
    return lexer.lex(text);
  } catch {
    return [{ type: 'code', raw: text, text }];
  }
}

/** Write one block as HTML: empty where it shows nothing. */
export function write(token: Token): string {
  try {
    return parser.parse([token]).trim();
  } catch {
    return `<pre><code>${escape(token.raw)}</code></pre>`;
  }
}
