/** Rules that find mistakes; how code looks is nobody's business here, and types are svelte-check's. */
import svelte from 'eslint-plugin-svelte';
import { defineConfig } from 'eslint/config';
import ts from 'typescript-eslint';

const typed = { parser: ts.parser, projectService: true, extraFileExtensions: ['.svelte'] };
const off = (...rules) => Object.fromEntries(rules.map((name) => [name, 'off']));
const rule = (name) => `@typescript-eslint/${name}`;

export default defineConfig(
  { files: ['**/*.ts', '**/*.svelte'], extends: [ts.configs.recommendedTypeChecked, svelte.configs.recommended] },
  {
    files: ['**/*.ts', '**/*.svelte'],
    languageOptions: { parserOptions: typed },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      'array-callback-return': 'error',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-constant-binary-expression': 'error',
      'no-constant-condition': ['error', { checkLoops: false }],
      'no-eval': 'error',
      'no-self-compare': 'error',
      'no-unreachable-loop': 'error',
      'no-unsafe-finally': 'error',
      'no-unsafe-optional-chaining': 'error',
      // What others wrote becomes elements in one place, by nodes.
      'no-restricted-syntax': ['error', 'AssignmentExpression[left.property.name=/HTML$/]', 'CallExpression[callee.property.name=/HTML/]'],
      [rule('return-await')]: ['error', 'error-handling-correctness-only'],
      [rule('switch-exhaustiveness-check')]: ['error', { considerDefaultExhaustiveForUnions: true }],
      [rule('no-unused-vars')]: ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      ...off(
        'svelte/no-unused-svelte-ignore', // svelte-check tells; this one takes the reasons for names of rules
        'svelte/prefer-svelte-reactivity', // sets and maps are replaced, or nobody looks at them
        rule('require-await'), // some are asynchronous for who calls them
        rule('restrict-template-expressions'), // no-base-to-string finds what is no text
      ),
    },
  },
  // To this parser whatever comes out of another component is `any`; svelte-check knows better.
  {
    files: ['**/*.svelte'],
    rules: off(...['argument', 'assignment', 'call', 'member-access', 'return'].map((what) => rule(`no-unsafe-${what}`))),
  },
);
