import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'

/** Where a manifest and the files that it pins are read from. */
export interface ModelSource {
  /** Where the file of that name is, for whoever reads of a fault. */
  locate(name: string): string
  /**
   * All of a file, which has `bytes` of them where that is known; rejects with the reason where it can't be read or
   * has another size. What it holds is not checked.
   */
  read(name: string, bytes?: number): Promise<Buffer>
}

export interface BucketOptions {
  /** Whether the bucket is named in the path, for what stands in for S3 has no host name for each. */
  pathStyle: boolean
}

/** Where no size is known: one of ten thousand users with long ids is a tenth of that. */
const LARGEST = 4 * 1024 * 1024

/** Lambda gives a start ten seconds: three attempts that meet with nothing but silence fit into them. */
const SILENCE_MS = 2000
const ATTEMPTS = 3

export interface Places {
  /** `s3://bucket/prefix`, or '' for the folder. */
  modelUri: string
  modelDir: string
  s3PathStyle: boolean
}

/** Where the service is told to read its models from. */
export function modelSource({ modelUri, modelDir, s3PathStyle }: Places): ModelSource | Promise<ModelSource> {
  return modelUri === '' ? modelFolder(modelDir) : modelBucket(modelUri, { pathStyle: s3PathStyle })
}

/** The models in a folder. */
export function modelFolder(dir: string): ModelSource {
  const locate = (name: string) => join(dir, name)
  return {
    locate,
    async read(name, bytes) {
      const found = await readFile(locate(name)).catch(unreadable)
      checkSize(found.length, bytes)
      return found
    },
  }
}

/**
 * The models under `s3://bucket/prefix`. Region, credentials and endpoint are found where the SDK of AWS looks for
 * them, which is loaded here and nowhere else: no service that reads a folder pays for it.
 */
export async function modelBucket(uri: string, { pathStyle }: BucketOptions): Promise<ModelSource> {
  const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3')
  const client = new S3Client({
    forcePathStyle: pathStyle,
    maxAttempts: ATTEMPTS,
    requestHandler: { connectionTimeout: SILENCE_MS, socketTimeout: SILENCE_MS },
    // The SHA-256 in the manifest says more; and so the body is the answer itself, which can be given up unread.
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  const [bucket, ...prefix] = uri.slice('s3://'.length).split('/')
  return {
    locate: (name) => `${uri}/${name}`,
    async read(name, bytes) {
      const wanted = new GetObjectCommand({ Bucket: bucket, Key: [...prefix, name].join('/') })
      const { Body, ContentLength } = await client.send(wanted).catch(unreadable)
      const body = Body as IncomingMessage
      try {
        checkSize(ContentLength, bytes)
      } catch (error) {
        body.destroy()
        throw error
      }
      return buffer(body).catch(unreadable)
    },
  }
}

/** An object has no size where its length is not said before it is sent, which S3 always does. */
function checkSize(found = Number.POSITIVE_INFINITY, bytes?: number): void {
  if (bytes === undefined && found > LARGEST) {
    throw new Error(`it has ${found} bytes, more than the ${LARGEST} that are read`)
  }
  if (bytes !== undefined && found !== bytes) {
    throw new Error(`it has ${found} bytes, the manifest says ${bytes}`)
  }
}

interface ReadError extends NodeJS.ErrnoException {
  $metadata?: { httpStatusCode?: number }
}

/** By the names that the system and S3 give to it: a whole message of S3 may tell of accounts and roles. */
function unreadable({ name, code, message, $metadata }: ReadError): never {
  const status = $metadata?.httpStatusCode
  const own = name === 'Error' ? message : name
  throw new Error(`it can not be read (${status === undefined ? (code ?? own) : `${name}, HTTP ${status}`})`)
}
