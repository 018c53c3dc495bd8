/** The part of a structural schema (Kubernetes, "Extend the API: structural schemas") that our CRDs use. */
export interface Schema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly description?: string;
  readonly enum?: readonly (string | number)[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
}

/** The part of a CustomResourceDefinition that types come from. */
export interface CustomResourceDefinition {
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string };
    readonly versions: readonly {
      readonly name: string;
      readonly schema: { readonly openAPIV3Schema: Schema };
    }[];
  };
}

/**
 * Writes the TypeScript of one custom resource: an interface for the kind, and one for each of its object fields (`spec`,
 * `status`). Everything is readonly, because an object read from the API server is a value that others share.
 *
 * @param source Path of the CRD, for the banner.
 */
export function crdTypes(crd: CustomResourceDefinition, source: string): string {
  const { group, names, versions } = crd.spec;
  const [version, ...others] = versions;
  if (!version || others.length > 0) throw new Error(`${source}: expected one version, found ${versions.length}`);

  const { description, properties = {}, required = [] } = version.schema.openAPIV3Schema;
  const parts = Object.entries(properties).filter(([field]) => !identity.has(field));
  const kind: Schema = {
    type: 'object',
    required,
    properties: Object.fromEntries(parts.map(([field]) => [field, { type: 'object' }])),
  };
  const named = Object.fromEntries(parts.map(([field]) => [field, `${names.kind}${capitalised(field)}`]));
  const declarations = [
    `${docComment(description, 0)}export interface ${names.kind} {\n` +
      `  readonly apiVersion: '${group}/${version.name}';\n` +
      `  readonly kind: '${names.kind}';\n` +
      `  readonly metadata: ObjectMeta;\n` +
      `${members(kind, 1, named)}}\n`,
    ...parts.map(([field, schema]) => `export interface ${named[field]} ${objectType(schema, 0)}\n`),
  ];
  return [
    `// Generated from ${source} by kube/generate-types.ts: edit that and run it again.\n`,
    `import type { ObjectMeta } from './object-meta.ts';\n`,
    ...declarations,
  ].join('\n');
}

const identity = new Set(['apiVersion', 'kind', 'metadata']);

function typeOf(schema: Schema, depth: number): string {
  if (schema.enum) return schema.enum.map((value) => (typeof value === 'string' ? `'${value}'` : value)).join(' | ');
  if (schema.type === 'integer') return 'number';
  if (schema.type === 'array') return `readonly ${schema.items ? elementType(schema.items, depth) : 'unknown'}[]`;
  if (schema.type !== 'object') return schema.type;
  if (schema.properties) return objectType(schema, depth);
  return `Readonly<Record<string, ${schema.additionalProperties ? typeOf(schema.additionalProperties, depth) : 'unknown'}>>`;
}

const elementType = (items: Schema, depth: number): string =>
  items.enum ? `(${typeOf(items, depth)})` : typeOf(items, depth);

const objectType = (schema: Schema, depth: number): string => `{\n${members(schema, depth + 1)}${'  '.repeat(depth)}}`;

function members(
  { properties = {}, required = [] }: Schema,
  depth: number,
  named: Readonly<Record<string, string>> = {},
): string {
  return Object.entries(properties)
    .map(([field, schema]) => {
      const mark = required.includes(field) ? '' : '?';
      const type = named[field] ?? typeOf(schema, depth);
      return `${docComment(schema.description, depth)}${'  '.repeat(depth)}readonly ${field}${mark}: ${type};\n`;
    })
    .join('');
}

function docComment(text: string | undefined, depth: number): string {
  if (text === undefined) return '';
  const indent = '  '.repeat(depth);
  const safe = text.trim().replaceAll('*/', '* /');
  const line = `${indent}/** ${safe} */\n`;
  if (line.length <= lineWidth + 1) return line;
  return `${indent}/**\n${wrapped(safe, lineWidth - indent.length - 3)
    .map((row) => `${indent} * ${row}\n`)
    .join('')}${indent} */\n`;
}

const lineWidth = 120;

function wrapped(text: string, width: number): readonly string[] {
  const rows: string[] = [];
  let row = '';
  for (const word of text.split(/\s+/)) {
    if (row !== '' && row.length + 1 + word.length > width) {
      rows.push(row);
      row = '';
    }
    row = row === '' ? word : `${row} ${word}`;
  }
  return [...rows, row];
}

const capitalised = (word: string): string => `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
