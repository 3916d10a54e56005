import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { reasonToRefuse } from '../../src/inference/onnx-file.js'
import { MODELS } from '../fixtures/models.js'
import { field, message } from '../fixtures/protobuf.js'

// Field numbers of onnx.proto.
const model = (...graph: Uint8Array[]) => message(field(1, 8), field(7, message(...graph)))
const node = (...fields: Uint8Array[]) => field(1, message(...fields))
const external = message(field(13, message(field(1, 'location'), field(2, '/etc/passwd'))), field(14, 1))
const NOT_ONNX = 'it is not an ONNX model'
const EXTERNAL = 'it keeps tensors in another file (external data)'

t.test('the shipped models are taken', async (t) => {
  const files = readdirSync(MODELS).filter((name) => name.endsWith('.onnx'))
  t.ok(files.length >= 3)
  for (const file of files) t.equal(reasonToRefuse(readFileSync(join(MODELS, file))), undefined, file)
})

t.test("ONNX's own operators are taken, under every name of their sets", async (t) => {
  const nodes = ['', 'ai.onnx', 'ai.onnx.ml'].map((domain) => node(field(4, 'Add'), field(7, domain)))
  t.equal(reasonToRefuse(model(...nodes)), undefined)
})

t.test('tensors with data of their own, and fields of every wire type, are taken', async (t) => {
  const fixed32 = Uint8Array.of(4 * 8 + 5, 0, 0, 128, 63)
  const fixed64 = Uint8Array.of(10 * 8 + 1, 0, 0, 0, 0, 0, 0, 0, 0)
  t.equal(reasonToRefuse(model(field(5, message(field(14, 0), fixed32, fixed64)))), undefined)
})

t.test('external data is refused wherever a tensor may stand', async (t) => {
  const attribute = (number: number, value: Uint8Array) => node(field(5, message(field(number, value))))
  t.equal(reasonToRefuse(model(field(5, external))), EXTERNAL, 'initializer')
  t.equal(reasonToRefuse(model(field(5, message(field(14, 1))))), EXTERNAL, 'by its location alone')
  t.equal(reasonToRefuse(model(field(5, message(field(13, message()))))), EXTERNAL, 'by its file alone')
  t.equal(reasonToRefuse(model(field(15, message(field(2, external))))), EXTERNAL, 'sparse initializer')
  t.equal(reasonToRefuse(model(attribute(5, external))), EXTERNAL, 'attribute')
  t.equal(reasonToRefuse(model(attribute(10, external))), EXTERNAL, 'list attribute')
  t.equal(reasonToRefuse(model(attribute(6, message(field(5, external))))), EXTERNAL, 'inner graph')
  t.equal(reasonToRefuse(model(attribute(11, message(field(5, external))))), EXTERNAL, 'one of inner graphs')
  t.equal(
    reasonToRefuse(model(attribute(23, message(field(1, external))))),
    EXTERNAL,
    'one of sparse attributes',
  )
  t.equal(reasonToRefuse(model(attribute(22, message(field(1, external))))), EXTERNAL, 'sparse attribute')
  for (const graph of [1, 2]) {
    const training = field(20, message(field(graph, message(field(5, external)))))
    t.equal(reasonToRefuse(message(model(), training)), EXTERNAL, 'training graph')
  }
})

t.test('what stands behind or inside a list of numbers or words is looked at as well', async (t) => {
  const words = [field(9, 'BRANCH_LT'), field(9, 'LEAF'), field(9, '')]
  const numbers = [field(8, 1), field(8, 300), field(8, 2 ** 40)]
  const splits = Array(3).fill(Uint8Array.of(7 * 8 + 5, 0, 0, 128, 63))
  for (const list of [words, numbers, splits]) {
    const [first, ...others] = list as [Uint8Array, ...Uint8Array[]]
    t.equal(reasonToRefuse(model(node(field(5, message(...list))))), undefined)
    t.equal(reasonToRefuse(model(node(field(5, message(...list, field(5, external)))))), EXTERNAL)
    t.equal(reasonToRefuse(model(node(field(5, message(first, field(5, external), ...others))))), EXTERNAL)
    t.equal(reasonToRefuse(model(node(field(5, message(...list).slice(0, -1))))), NOT_ONNX, 'cut off')
  }
})

t.test('operators of other sets are refused by name', async (t) => {
  const reason = 'it uses operators of "com.microsoft", which is not ONNX\'s own'
  t.equal(reasonToRefuse(model(node(field(7, 'com.microsoft')))), reason)
  t.equal(reasonToRefuse(message(model(), field(8, message(field(1, 'com.microsoft'))))), reason)
})

t.test('functions of its own are refused', async (t) => {
  t.equal(reasonToRefuse(message(model(), field(25, message()))), 'it defines functions of its own')
})

t.test('what is not an ONNX model is refused', async (t) => {
  t.equal(reasonToRefuse(Uint8Array.of()), NOT_ONNX, 'nothing')
  t.equal(reasonToRefuse(field(1, 8)), NOT_ONNX, 'no graph')
  t.equal(
    reasonToRefuse(new TextEncoder().encode('version https://git-lfs.github.com/spec/v1')),
    NOT_ONNX,
    'text',
  )
  t.equal(reasonToRefuse(model(node(field(4, 'Add'))).slice(0, -1)), NOT_ONNX, 'cut off')
  t.equal(reasonToRefuse(Uint8Array.of(0x80)), NOT_ONNX, 'cut off in a number')
  t.equal(reasonToRefuse(Uint8Array.of(8 + 3)), NOT_ONNX, 'a group')
  t.equal(reasonToRefuse(Uint8Array.of(9, 1)), NOT_ONNX, 'cut off in a number of eight bytes')
})

t.test('a field can not hide behind a number that other readers cut short', async (t) => {
  const hidden = message(field(8 + 2 ** 29, message(field(1, 'com.microsoft'))))
  t.equal(reasonToRefuse(message(model(), hidden)), NOT_ONNX)
})
