// Imports point one way. `allowed` is the table of docs/architecture.md: what is not in it is a fault.
const room = (name) => `^src/${name}/`
const file = (name) => `^src/${name}\\.ts$`
const from = (path, ...to) => ({ from: { path }, to: { path: [path, ...to] } })

const domain = [room('keystroke'), room('schemas'), file('errors')]

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'entries-are-not-imported',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: file('(server|lambda|openapi|client/cli)') },
    },
    {
      name: 'one-reader-of-the-runtime',
      severity: 'error',
      from: { path: '^src/', pathNot: room('inference') },
      to: { path: 'onnxruntime' },
    },
    {
      name: 'one-reader-of-s3',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/inference/model-source\\.ts$' },
      to: { path: '@aws-sdk/client-s3' },
    },
    {
      name: 'one-reader-of-each-database',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/stores/(sqlite|dynamodb)\\.ts$' },
      to: { path: 'libsql|@aws-sdk/client-dynamodb' },
    },
    {
      name: 'databases-on-demand',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: 'libsql|@aws-sdk', dependencyTypesNot: ['dynamic-import', 'type-only'] },
    },
    {
      name: 'traces-on-demand',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/telemetry/tracing\\.ts$' },
      to: { path: '@opentelemetry|@fastify/otel' },
    },
    {
      name: 'loaded-on-demand',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^src/telemetry/tracing\\.ts$', dependencyTypesNot: ['dynamic-import'] },
    },
    {
      name: 'pure-domain',
      severity: 'error',
      from: { path: '^src/(keystroke|schemas|templates|stores|enrolment)/' },
      to: { path: 'fastify', pathNot: '^src/' },
    },
    {
      name: 'types-only',
      severity: 'error',
      from: { path: '^src/(keystroke|templates)/' },
      to: { path: room('schemas'), dependencyTypesNot: ['type-only'] },
    },
    {
      // Whoever imports it, by whatever way, can't be run where no engine answers.
      name: 'docker-apart',
      severity: 'error',
      from: { path: '\\.test\\.ts$', pathNot: '^test/(containers|cloud)/' },
      to: { path: '^test/fixtures/docker\\.ts$', reachable: true },
    },
    {
      name: 'resolvable',
      severity: 'error',
      from: {},
      // What the page at /demo imports as a neighbour lies in src/client/.
      to: { couldNotResolve: true, pathNot: '^\\./recorder\\.js$' },
    },
  ],
  allowed: [
    { from: {}, to: { pathNot: '^src/' } },
    { from: { path: '^test/' }, to: {} },
    from(file('server'), file('(app|config|workers)')),
    from(file('openapi'), file('(app|config)')),
    from(file('lambda'), file('(app|config|path|errors)'), room('schemas')),
    from(file('app'), room('plugins'), room('routes'), room('schemas'), file('(config|log|path)')),
    from(
      room('plugins'),
      ...[room('access'), room('inference'), room('telemetry'), ...domain],
      ...[room('enrolment'), room('stores'), room('templates')],
      file('(config|path|admission)'),
    ),
    from(room('access'), file('errors')),
    from(room('routes'), room('tensors'), file('ndjson'), ...domain),
    from(room('tensors'), ...domain),
    from(file('ndjson'), file('errors')),
    from(room('inference'), room('templates'), ...domain),
    from(room('keystroke'), room('schemas'), file('errors')),
    from(room('templates'), ...domain),
    from(room('stores'), file('errors')),
    from(room('enrolment'), room('stores'), room('templates'), ...domain),
    from(room('schemas')),
    from(room('telemetry')),
    from(room('client')),
    from(room('demo')),
    from(file('path'), room('schemas')),
    from(file('config'), file('errors')),
  ],
  allowedSeverity: 'error',
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '/\\.venv/' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: 'specify',
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'types'] },
  },
}
