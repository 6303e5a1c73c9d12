/**
 * HTML into nodes: the one door through which what a model wrote becomes elements, behind DOMPurify.
 *
 * No class but those of code, no id or name (they would shadow what scripts look up), nothing that loads or is sent.
 */
import DOMPurify, { type Config } from 'dompurify';

export const TAGS =
  'a b blockquote br code del em h3 h4 h5 h6 hr i input ins kbd li mark ol p pre s small span strong sub sup table tbody td th thead tr u ul';
export const ATTRIBUTES = 'align checked class disabled href start title type';

const config: Config & { RETURN_DOM_FRAGMENT: true } = {
  ALLOWED_TAGS: TAGS.split(' '),
  ALLOWED_ATTR: ATTRIBUTES.split(' '),
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  ADD_URI_SAFE_ATTR: ATTRIBUTES.split(' ').filter((name) => name !== 'href'),
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOWED_NAMESPACES: ['http://www.w3.org/1999/xhtml'],
  SANITIZE_NAMED_PROPS: true,
  RETURN_DOM_FRAGMENT: true,
};

/** What an attribute may say, where not every element may have it or not everything may be said. */
const SAYS: Record<string, [on: string, what: RegExp]> = {
  align: ['TD TH', /^(left|right|center)$/],
  checked: ['INPUT', /^$/],
  class: ['CODE SPAN', /^(language-[\w+#.-]{1,32}|(hljs-[a-z_-]+|[a-z]+_)( (hljs-[a-z_-]+|[a-z]+_))*)$/],
  disabled: ['INPUT', /^$/],
  href: ['A', /./],
  start: ['OL', /^\d{1,9}$/],
  type: ['INPUT', /^checkbox$/],
};

if (DOMPurify.isSupported) {
  DOMPurify.setConfig(config);
  DOMPurify.addHook('uponSanitizeAttribute', (element, attribute) => {
    const [on, what] = SAYS[attribute.attrName] ?? [];
    if (on && what) attribute.keepAttr = on.split(' ').includes(element.nodeName) && what.test(attribute.attrValue);
  });
  DOMPurify.addHook('afterSanitizeAttributes', (element) => {
    if (element.nodeName === 'INPUT' && element.getAttribute('type') !== 'checkbox') element.remove();
  });
}

/** Make nodes of HTML, of which nothing is left that is not on the list. */
export const clean = (html: string): DocumentFragment =>
  DOMPurify.sanitize(html, config) ?? document.createDocumentFragment();
