/** What highlight.js knows of the languages that are met most: a file of its own, loaded when one is there. */
import core from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import c from 'highlight.js/lib/languages/c';
import cpp from 'highlight.js/lib/languages/cpp';
import csharp from 'highlight.js/lib/languages/csharp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import dockerfile from 'highlight.js/lib/languages/dockerfile';
import go from 'highlight.js/lib/languages/go';
import ini from 'highlight.js/lib/languages/ini';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import kotlin from 'highlight.js/lib/languages/kotlin';
import lua from 'highlight.js/lib/languages/lua';
import makefile from 'highlight.js/lib/languages/makefile';
import markdown from 'highlight.js/lib/languages/markdown';
import php from 'highlight.js/lib/languages/php';
import powershell from 'highlight.js/lib/languages/powershell';
import python from 'highlight.js/lib/languages/python';
import r from 'highlight.js/lib/languages/r';
import ruby from 'highlight.js/lib/languages/ruby';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import swift from 'highlight.js/lib/languages/swift';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';

import './languages.css';

const languages = {
  bash, c, cpp, csharp, css, diff, dockerfile, go, ini, java, javascript, json, kotlin, lua, makefile, markdown, php,
  powershell, python, r, ruby, rust, sql, swift, typescript, xml, yaml,
};
for (const [name, language] of Object.entries(languages)) core.registerLanguage(name, language);
core.registerAliases(['shell', 'console'], { languageName: 'bash' });

/** Write code as HTML with classes, or nothing where the language is not known. */
export const paint = (code: string, language: string): string | undefined =>
  core.getLanguage(language) && core.highlight(code, { language, ignoreIllegals: true }).value;

const PIECES = /<span class="([\w -]*)">|(<\/span>)|[^<]+/g;
const SIGNS: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#x27': "'" };

/**
 * Make nodes of what `paint` writes: spans with classes and texts, which is all there can be. To have thousands of spans
 * parsed and cleaned would take four times as long.
 */
export function nodesOf(html: string): DocumentFragment {
  const all = document.createDocumentFragment();
  let open: Node = all;
  for (const [piece, classes, end] of html.matchAll(PIECES)) {
    if (classes !== undefined) {
      const span = document.createElement('span');
      span.className = classes;
      open = open.appendChild(span);
    } else if (end) open = open.parentNode ?? all;
    else open.appendChild(document.createTextNode(piece.replace(/&([a-z#\d]+);/g, (sign, name: string) => SIGNS[name] ?? sign)));
  }
  return all;
}
