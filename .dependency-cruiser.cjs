/** The import table of STYLE in one place: a folder may reach only the folders listed beside it. */
const mayImport = {
  contracts: [],
  ipam: ['contracts'],
  network: ['contracts'],
  kernel: ['contracts', 'ipam', 'network'],
  kube: ['contracts', 'ipam', 'network'],
  workflows: ['contracts', 'temporal-config'],
  activities: ['contracts', 'ipam', 'network', 'temporal-config'],
  plugins: ['contracts'],
  'temporal-config': ['contracts'],
};
const ours = [...Object.keys(mayImport), 'workers', 'cli', 'deploy', 'test'];
const tests = '\\.test\\.ts$';

/** Packages that a folder may use; absent: any that package.json lists. */
const packages = {
  contracts: '^$',
  ipam: '^node_modules/ipaddr\\.js/',
  network: '^node_modules/ipaddr\\.js/',
  workflows: '^node_modules/(@temporalio/(workflow|common)|async-mutex)/',
};

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...Object.entries(mayImport).map(([folder, allowed]) => ({
      name: `${folder}-imports-one-way`,
      severity: 'error',
      from: { path: `^${folder}/`, pathNot: tests },
      to: { path: `^(${ours.filter((other) => other !== folder && !allowed.includes(other)).join('|')})/` },
    })),
    ...Object.entries(packages).map(([folder, allowed]) => ({
      name: `${folder}-packages`,
      severity: 'error',
      from: { path: `^${folder}/`, pathNot: tests },
      to: { path: '^node_modules/', pathNot: allowed },
    })),
    {
      name: 'pure-folders-touch-no-world',
      comment: 'Decisions and replayed code take time, files and randomness as arguments.',
      severity: 'error',
      from: { path: '^(contracts|ipam|network|workflows)/', pathNot: tests },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(assert)$' },
    },
    {
      name: 'workflows-reach-no-effects',
      severity: 'error',
      from: { path: '^workflows/', pathNot: tests },
      to: { path: '^(activities|kernel|kube|ipam|network|workers|cli)/', reachable: true },
    },
    {
      name: 'nothing-imports-the-roots',
      severity: 'error',
      from: { pathNot: `^(workers|cli|deploy|test)/|${tests}` },
      to: { path: '^(workers|cli)/' },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'not-to-test', severity: 'error', from: { pathNot: `${tests}|^test/|/testing/` }, to: { path: tests } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(node_modules|dist|\\.tools)/' },
    parser: 'swc',
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.json'],
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
    },
    moduleSystems: ['es6', 'cjs'],
  },
};
