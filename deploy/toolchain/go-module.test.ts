import { describe, expect, it } from '@jest/globals';
import { wrapperModule } from './go-module.ts';
import type { GoRecipe } from './recipe.ts';

const recipe: GoRecipe = {
  kind: 'go',
  module: 'k8s.io/kubernetes',
  version: 'v1.36.3',
  packages: {},
  ldflags: '',
  localReplacesAt: 'v0.36.3',
};
const replacing = (path: string, by: string) => ({ Old: { Path: path }, New: { Path: by } });

describe('the module that wraps a published one', () => {
  it('requires it and repeats its Go version, its settings and its local replaces at their published version', () => {
    const published = {
      Go: '1.26.0',
      Godebug: [{ Key: 'default', Value: 'go1.26' }],
      Replace: [
        replacing('k8s.io/api', './staging/src/k8s.io/api'),
        replacing('example.test/fork', 'example.test/other'),
      ],
    };
    expect(wrapperModule(recipe, published)).toBe(
      [
        'module orbweaver.local/wrapper',
        'go 1.26.0',
        'godebug default=go1.26',
        'require k8s.io/kubernetes v1.36.3',
        'replace k8s.io/api => k8s.io/api v0.36.3',
        '',
      ].join('\n'),
    );
  });

  it('needs nothing but the requirement for a module without replaces', () => {
    const published = { Go: '1.24.6', Godebug: null, Replace: null };
    expect(wrapperModule(recipe, published)).toBe(
      'module orbweaver.local/wrapper\ngo 1.24.6\nrequire k8s.io/kubernetes v1.36.3\n',
    );
  });

  it('refuses a recipe that does not say where local replaces are published', () => {
    const { localReplacesAt: _, ...silent } = recipe;
    const published = { Go: '1.26.0', Replace: [replacing('k8s.io/api', './staging/src/k8s.io/api')] };
    expect(() => wrapperModule(silent, published)).toThrow('k8s.io/api');
  });
});
