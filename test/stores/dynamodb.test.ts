import t from 'tap'
import { openDynamo } from '../../src/stores/dynamodb.js'
import { type Dynamo, startDynamo } from '../fixtures/dynamo.js'
import { bytes, conforms } from './conformance.js'

conforms(async (t) => {
  const { table } = await startDynamo(t)
  return () => openDynamo(table)
})

interface Test {
  teardown(close: () => unknown): void
}

async function open(t: Test) {
  const dynamo = await startDynamo(t)
  const store = await openDynamo(dynamo.table)
  t.teardown(() => store.close())
  const put = (key: string, expected?: string) =>
    store.put({ partition: 'text', key, bytes: bytes(key) }, expected)
  return { dynamo, store, put }
}

/** The next question of that operation is done, and its answer gets lost: the SDK asks again. */
function loseOne(dynamo: Dynamo, operation: string): void {
  const { answer } = dynamo
  dynamo.answer = async (question, ask) => {
    if (question.operation !== operation) return answer(question, ask)
    dynamo.answer = answer
    await ask(question.body)
    return 'lost'
  }
}

t.test('a write whose answer got lost is one all the same', async (t) => {
  const { dynamo, store, put } = await open(t)
  loseOne(dynamo, 'PutItem')
  const first = await put('anna')
  t.type(first, 'string')
  t.match(await store.get('text', 'anna'), { version: first })
  loseOne(dynamo, 'PutItem')
  const second = await put('anna', first)
  t.match(await store.get('text', 'anna'), { version: second })
  loseOne(dynamo, 'PutItem')
  t.equal(await store.delete('text', 'anna', second), true)
  const writes = dynamo.questions.filter(({ operation }) => operation === 'PutItem')
  t.equal(writes.length, 6)
})

t.test('what DynamoDB could not drop at once it is asked again', async (t) => {
  const { dynamo, store, put } = await open(t)
  for (let i = 0; i < 30; i++) await put(`user ${i}`)
  const asked: number[] = []
  dynamo.answer = async ({ operation, body }, ask) => {
    if (operation !== 'BatchWriteItem') return ask(body)
    const [done, ...left] = body.RequestItems[dynamo.table]
    asked.push(left.length + 1)
    // It does a third.
    const some = [done, ...left.splice(0, 8)]
    await ask({ RequestItems: { [dynamo.table]: some } })
    return { UnprocessedItems: left.length > 0 ? { [dynamo.table]: left } : {} }
  }
  await store.drop('text')
  t.same(asked, [25, 16, 7, 5])
  t.equal(await store.count('text'), 0)
})

t.test('a drop that was cut off in the middle says so, and can be repeated', async (t) => {
  const { dynamo, store, put } = await open(t)
  for (let i = 0; i < 30; i++) await put(`user ${i}`)
  const { answer } = dynamo
  let batches = 0
  dynamo.answer = async ({ operation, body }, ask) => {
    if (operation !== 'BatchWriteItem' || batches++ === 0) return ask(body)
    return { UnprocessedItems: body.RequestItems }
  }
  await t.rejects(store.drop('text'), { message: 'DynamoDB left 5 deletions undone' })
  t.equal(await store.count('text'), 5)
  dynamo.answer = answer
  await store.drop('text')
  t.equal(await store.count('text'), 0)
})

t.test('more than DynamoDB answers at once is read to its end', async (t) => {
  const { dynamo, store } = await open(t)
  const { cursor } = await store.changes('text', '')
  const keys = Array.from({ length: 5 }, (_, i) => `user ${i}`)
  for (const key of keys) {
    await store.put({ partition: 'text', key, bytes: new Uint8Array(390_000) }, undefined)
  }
  await store.put({ partition: 'text', key: 'old', bytes: bytes('old'), expires: 1 }, undefined)
  dynamo.questions.length = 0
  t.same(
    (await store.page('text', '', 10)).map(({ key }) => key),
    keys,
  )
  t.ok(dynamo.questions.length > 1)
  t.equal((await store.changes('text', cursor)).changes.length, 6)
  t.equal(await store.count('text'), 5)
  await store.drop('text')
  t.same(await store.page('text', '', 10), [])
})

t.test('reads are of what was written before, and no operation is one that costs more', async (t) => {
  const { dynamo, store, put } = await open(t)
  const { cursor } = await store.changes('text', '')
  await put('anna')
  await put('anna')
  await store.get('text', 'anna')
  await store.page('text', '', 10)
  await store.count('text')
  await store.changes('text', cursor)
  await store.delete('text', 'anna')
  await put('ben')
  await store.drop('text')
  t.equal(await store.sweep(), 0)
  const operations = new Set(dynamo.questions.map(({ operation }) => operation))
  t.same([...operations].sort(), ['BatchWriteItem', 'GetItem', 'PutItem', 'Query'])
  const reads = dynamo.questions.filter(({ operation }) => /Query|GetItem/.test(operation))
  t.ok(reads.length > 5)
  for (const { body } of reads) t.equal(body.ConsistentRead, true)
})

t.test('a deletion keeps nothing of the record, and is kept for a day', async (t) => {
  const { dynamo, store, put } = await open(t)
  await put('anna')
  await put('ben')
  await store.delete('text', 'anna')
  await store.drop('text')
  const tombstones = dynamo.questions.flatMap(({ operation, body }) =>
    operation === 'BatchWriteItem'
      ? [body.RequestItems[dynamo.table][0].PutRequest.Item]
      : body.Item?.deleted
        ? [body.Item]
        : [],
  )
  t.equal(tombstones.length, 2)
  const tomorrow = Date.now() / 1000 + 24 * 3600
  for (const item of tombstones) {
    t.same(Object.keys(item).sort(), ['changed', 'deleted', 'expires', 'pk', 'sk', 'version'])
    t.ok(Math.abs(Number(item.expires.N) - tomorrow) < 60)
  }
})

t.test('what DynamoDB refuses is rejected', async (t) => {
  await startDynamo(t)
  const store = await openDynamo('no-such-table')
  t.teardown(() => store.close())
  await t.rejects(store.get('text', 'anna'), { name: 'ResourceNotFoundException' })
  await t.rejects(store.put({ partition: 'text', key: 'anna', bytes: bytes('hers') }, undefined), {
    name: 'ResourceNotFoundException',
  })
})
