import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type {
  AttributeValue,
  BatchWriteItemCommandOutput,
  QueryCommandInput,
  WriteRequest,
} from '@aws-sdk/client-dynamodb'
import { type Change, checkSize, type Store, type StoredRecord } from './store.js'

/** The index of a partition by when its records were changed, which holds neither keys' bytes nor the records'. */
const INDEX = 'changes'

/** A write that meets with nothing but silence is given up before the changes that it is one of are told for the last time. */
const SILENCE_MS = 2000
const ATTEMPTS = 3
/** How far the clocks of writers may be apart, and a write may be on its way, ms. */
const OVERLAP_MS = 20_000
/** How long a deletion is told to those who ask for changes, s. */
const REMEMBERED = 24 * 3600
/** What DynamoDB takes at once. */
const BATCH = 25
/** What it could not take at once it is asked again, after a pause that grows, ms. */
const PAUSE_MS = 50
const RETRIES = 6

const LIVE = 'attribute_not_exists(deleted) AND (attribute_not_exists(expires) OR expires > :now)'
const GONE = 'attribute_exists(deleted) OR expires <= :now'

type Item = Record<string, AttributeValue>

/**
 * A store in a table of DynamoDB, which has the keys `pk` and `sk`, a local index `changes` by the number `changed`, and
 * `expires` for the time to live: `deploy/service.yaml`. Region, credentials and endpoint are found where the SDK of AWS
 * looks for them. Nothing takes part in a transaction, and no record is read to be written.
 */
export async function openDynamo(table: string): Promise<Store> {
  // No service that keeps nothing here pays for it.
  const { BatchWriteItemCommand, DynamoDBClient, GetItemCommand, PutItemCommand, QueryCommand } =
    await import('@aws-sdk/client-dynamodb')
  const client = new DynamoDBClient({
    maxAttempts: ATTEMPTS,
    requestHandler: { connectionTimeout: SILENCE_MS, socketTimeout: SILENCE_MS },
  })

  /** The items of a query, whose answers have at most 1 MB each. */
  async function* query(input: Omit<QueryCommandInput, 'TableName'>) {
    let from: Item | undefined
    do {
      const page = await client.send(
        new QueryCommand({ TableName: table, ConsistentRead: true, ...input, ExclusiveStartKey: from }),
      )
      yield page
      from = page.LastEvaluatedKey
    } while (from !== undefined)
  }

  async function read(partition: string, key: string): Promise<Item | undefined> {
    const wanted = { TableName: table, Key: { pk: { S: partition }, sk: { S: key } }, ConsistentRead: true }
    return (await client.send(new GetItemCommand(wanted))).Item
  }

  /** Whether the item was written, which it is where the condition holds for the one in its place. */
  async function write(item: Item, condition: string, values: Item): Promise<boolean> {
    try {
      await client.send(
        new PutItemCommand({
          TableName: table,
          Item: item,
          ConditionExpression: condition,
          ExpressionAttributeValues: values,
        }),
      )
      return true
    } catch (error) {
      if ((error as Error).name !== 'ConditionalCheckFailedException') throw error
      // The SDK sends again what was not answered, although it may have been done.
      const found = await read(item.pk?.S as string, item.sk?.S as string)
      return found?.version?.S === item.version?.S
    }
  }

  async function writeAll(requests: WriteRequest[]): Promise<void> {
    let left: WriteRequest[] | undefined = requests
    for (let retry = 0; left !== undefined; retry++) {
      if (retry > RETRIES) throw new Error(`DynamoDB left ${left.length} deletions undone`)
      if (retry > 0) await delay(PAUSE_MS * 2 ** (retry - 1) * Math.random())
      const answer: BatchWriteItemCommandOutput = await client.send(
        new BatchWriteItemCommand({ RequestItems: { [table]: left } }),
      )
      left = answer.UnprocessedItems?.[table]
    }
  }

  return {
    async get(partition, key) {
      const item = await read(partition, key)
      return item && isLive(item) ? record(item) : undefined
    },

    async put({ partition, key, bytes, expires }, expected) {
      checkSize(bytes)
      const item: Item = {
        ...stamped(partition, key),
        bytes: { B: bytes },
        ...(expires !== undefined && { expires: { N: String(expires) } }),
      }
      const done =
        expected === undefined
          ? await write(item, `attribute_not_exists(pk) OR ${GONE}`, now())
          : await write(item, `version = :version AND ${LIVE}`, { ':version': { S: expected }, ...now() })
      return done ? item.version?.S : undefined
    },

    async delete(partition, key, expected) {
      const condition = expected === undefined ? 'attribute_exists(pk)' : 'version = :version'
      const values: Item = expected === undefined ? now() : { ':version': { S: expected }, ...now() }
      return write(tombstone(partition, key), `${condition} AND ${LIVE}`, values)
    },

    async page(partition, after, limit) {
      const found: StoredRecord[] = []
      const pages = query({
        KeyConditionExpression: after === '' ? 'pk = :pk' : 'pk = :pk AND sk > :after',
        FilterExpression: LIVE,
        ExpressionAttributeValues: {
          ':pk': { S: partition },
          ...(after !== '' && { ':after': { S: after } }),
          ...now(),
        },
        Limit: limit,
      })
      for await (const { Items = [] } of pages) {
        found.push(...Items.map(record))
        if (found.length >= limit) break
      }
      return found.slice(0, limit)
    },

    // Counted in the index, which has some 100 bytes for each: a number that is kept would be wrong after a write that was
    // cut off in the middle, and after what is past its time, and each enrolment of a text would wait for that one item.
    async count(partition) {
      let count = 0
      const pages = query({
        IndexName: INDEX,
        Select: 'COUNT',
        KeyConditionExpression: 'pk = :pk',
        FilterExpression: LIVE,
        ExpressionAttributeValues: { ':pk': { S: partition }, ...now() },
      })
      for await (const { Count = 0 } of pages) count += Count
      return count
    },

    async drop(partition) {
      const pages = query({
        KeyConditionExpression: 'pk = :pk',
        FilterExpression: 'attribute_not_exists(deleted)',
        ProjectionExpression: 'sk',
        ExpressionAttributeValues: { ':pk': { S: partition } },
      })
      for await (const { Items = [] } of pages) {
        for (let i = 0; i < Items.length; i += BATCH) {
          const keys = Items.slice(i, i + BATCH).map(({ sk }) => sk?.S as string)
          await writeAll(keys.map((key) => ({ PutRequest: { Item: tombstone(partition, key) } })))
        }
      }
    },

    async changes(partition, cursor) {
      // Before the question: what is written while it is answered is told the next time.
      const next = String(Date.now() - OVERLAP_MS)
      const changes: Change[] = []
      if (cursor === '') return { changes, cursor: next }
      const pages = query({
        IndexName: INDEX,
        KeyConditionExpression: 'pk = :pk AND changed > :since',
        ExpressionAttributeValues: { ':pk': { S: partition }, ':since': { N: cursor } },
        // What the index has not, DynamoDB looks up.
        Select: 'ALL_ATTRIBUTES',
      })
      for await (const { Items = [] } of pages) changes.push(...Items.map(change))
      return { changes, cursor: next }
    },

    // DynamoDB removes both itself, within days.
    async sweep() {
      return 0
    },

    async close() {
      client.destroy()
    },
  }
}

function seconds(): number {
  return Math.floor(Date.now() / 1000)
}

function now(): Item {
  return { ':now': { N: String(seconds()) } }
}

function stamped(partition: string, key: string): Item {
  const changed = { N: String(Date.now()) }
  return { pk: { S: partition }, sk: { S: key }, version: { S: randomUUID() }, changed }
}

function tombstone(partition: string, key: string): Item {
  const expires = { N: String(seconds() + REMEMBERED) }
  return { ...stamped(partition, key), deleted: { BOOL: true }, expires }
}

function isLive({ deleted, expires }: Item): boolean {
  return deleted === undefined && (expires === undefined || Number(expires.N) > seconds())
}

function change(item: Item): Change {
  return {
    key: item.sk?.S as string,
    version: item.version?.S as string,
    bytes: isLive(item) ? item.bytes?.B : undefined,
    ...(item.deleted === undefined && item.expires !== undefined && { expires: Number(item.expires.N) }),
  }
}

function record(item: Item): StoredRecord {
  return { partition: item.pk?.S as string, ...(change(item) as Omit<StoredRecord, 'partition'>) }
}
