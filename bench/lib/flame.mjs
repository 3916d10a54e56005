// A CPU profile of V8 as a flame graph: width is time, a frame stands on its caller.
const WIDTH = 1200
const ROW = 17
const LEAST_SHARE = 0.002
const CHARACTER = 6.6

const RUNTIME = 'ONNX Runtime'

/** Kinds of frames, with how each is recognised by its function's name and file, and its colour. */
const KINDS = [
  {
    kind: 'this service',
    colour: '#e4572e',
    of: ({ url }) => url.includes('/dist/') && !url.includes('node_modules'),
  },
  {
    kind: RUNTIME,
    colour: '#b084cc',
    of: ({ url, functionName }) => url.includes('onnxruntime') || functionName === 'run',
  },
  { kind: 'Fastify and its libraries', colour: '#f3a712', of: ({ url }) => url.includes('node_modules') },
  { kind: 'Node', colour: '#76b041', of: ({ url }) => url.startsWith('node:') },
  { kind: 'native: system calls, parsing, garbage', colour: '#17bebb', of: () => true },
]

/** @returns the call tree of a profile, without idle time: `name`, `kind`, `own` and `total` in µs, `children` by name */
export function callTree({ nodes, samples, timeDeltas }) {
  const own = new Map()
  for (const [i, id] of samples.entries()) own.set(id, (own.get(id) ?? 0) + timeDeltas[i])
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const grow = (ids, caller) => {
    const frames = new Map()
    for (const { callFrame, id, children = [] } of ids.map((one) => byId.get(one))) {
      if (callFrame.functionName === '(idle)') continue
      // What the runtime does natively has no file of its own.
      const native = callFrame.url === '' && caller === RUNTIME
      const kind = native ? RUNTIME : KINDS.find((one) => one.of(callFrame)).kind
      // Generated code has neither a name nor a file.
      const name = callFrame.functionName || (callFrame.url ? 'anonymous' : 'native')
      const key = `${name} ${kind}`
      const frame = frames.get(key) ?? { name, kind, own: 0, ids: [] }
      frame.own += own.get(id) ?? 0
      frame.ids.push(...children)
      frames.set(key, frame)
    }
    return [...frames.values()].map(({ ids: below, ...frame }) => {
      const children = grow(below, frame.kind)
      return { ...frame, children, total: children.reduce((sum, child) => sum + child.total, frame.own) }
    })
  }
  const [root] = grow([nodes[0].id])
  return root
}

/** @returns the share of the time that each kind of frame has itself */
export function shares(root) {
  const found = new Map(KINDS.map(({ kind }) => [kind, 0]))
  const visit = ({ kind, own, children }) => {
    found.set(kind, found.get(kind) + own / root.total)
    children.forEach(visit)
  }
  visit(root)
  return found
}

/** @returns an SVG image of a call tree */
export function flameGraph(root, title) {
  const boxes = []
  let deepest = 0
  const place = (frame, left, depth) => {
    if (frame.total < LEAST_SHARE * root.total) return
    deepest = Math.max(deepest, depth)
    boxes.push({ ...frame, depth, left, width: (frame.total / root.total) * WIDTH })
    let from = left
    for (const child of frame.children.toSorted((a, b) => b.total - a.total)) {
      place(child, from, depth + 1)
      from += (child.total / root.total) * WIDTH
    }
  }
  place(root, 0, 0)
  const foot = 40 + (deepest + 1) * ROW
  const drawn = boxes.map(({ name, kind, depth, left, width, total }) => {
    const { colour } = KINDS.find((one) => one.kind === kind)
    const y = foot - (depth + 1) * ROW
    const share = ((100 * total) / root.total).toFixed(1)
    const letters = Math.floor((width - 4) / CHARACTER)
    const label =
      letters < 3
        ? ''
        : `<text x="${(left + 3).toFixed(1)}" y="${y + 12}">${escaped(name.slice(0, letters))}</text>`
    return `<g><title>${escaped(name)}: ${share} %</title><rect x="${left.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="${colour}"/>${label}</g>`
  })
  const legend = KINDS.map(
    ({ kind, colour }, i) =>
      `<rect x="${8 + i * 235}" y="${foot + 12}" width="11" height="11" fill="${colour}"/><text x="${24 + i * 235}" y="${foot + 22}">${kind}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${foot + 34}" font-family="ui-monospace, monospace" font-size="11">
<title>${escaped(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="22" font-size="14">${escaped(title)}</text>
${[...drawn, ...legend].join('\n')}
</svg>
`
}

function escaped(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
