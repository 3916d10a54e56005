import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import {
  DeleteHeaders,
  PageQuery,
  ReadHeaders,
  Text,
  TextBody,
  TextList,
  TextParams,
  WriteHeaders,
} from '../schemas/enrolment.js'
import { problems } from '../schemas/problem.js'
import { reference } from '../schemas/reference.js'
import { afterOf, nextOf } from './cursor.js'
import { entityTag, isNotModified, requireMatch } from './preconditions.js'

const READ = [400, 404, 406, 414] as const
const WRITE = [400, 404, 406, 408, 409, 412, 413, 414, 415, 422, 431] as const

/** The texts that users are recognised by. */
export const texts: FastifyPluginAsyncTypebox<{ basePath: string }> = async (app, { basePath }) => {
  app.put(
    '/texts/:text',
    {
      config: { audit: 'put-text' },
      schema: {
        operationId: 'putText',
        tags: ['enrolment'],
        summary: 'Make a text',
        headers: WriteHeaders,
        params: TextParams,
        body: TextBody,
        response: {
          200: reference(Text, 'It is there already.'),
          201: reference(Text, 'It is made.'),
          ...problems(...WRITE),
        },
      },
    },
    async (request, reply) => {
      const enrolment = await app.enrolment()
      const { caller, params, body } = request
      const { text, made } = await enrolment.putText(caller, params.text, body, (version) =>
        requireMatch(request, version),
      )
      reply.header('etag', entityTag(text.version))
      if (made) reply.code(201).header('location', `${basePath}/texts/${text.name}`)
      return enrolment.described(text)
    },
  )

  app.get(
    '/texts',
    {
      schema: {
        operationId: 'listTexts',
        tags: ['enrolment'],
        summary: 'The texts of the caller',
        querystring: PageQuery,
        response: { 200: TextList, ...problems(400, 406, 414) },
      },
    },
    async ({ caller, query }) => {
      const enrolment = await app.enrolment()
      const { after, limit } = afterOf(query)
      const texts = await enrolment.texts(caller, after, limit)
      return { texts: texts.map(enrolment.described), ...nextOf(texts, limit, ({ name }) => name) }
    },
  )

  app.get(
    '/texts/:text',
    {
      schema: {
        operationId: 'describeText',
        tags: ['enrolment'],
        summary: 'One text',
        headers: ReadHeaders,
        params: TextParams,
        response: { 200: reference(Text, 'The text.'), 304: NotModified, ...problems(...READ) },
      },
    },
    async (request, reply) => {
      const enrolment = await app.enrolment()
      const text = await enrolment.text(request.caller, request.params.text)
      reply.header('etag', entityTag(text.version))
      if (isNotModified(request, text.version)) return reply.code(304).send(null)
      return enrolment.described(text)
    },
  )

  app.delete(
    '/texts/:text',
    {
      config: { audit: 'delete-text' },
      schema: {
        operationId: 'deleteText',
        tags: ['enrolment'],
        summary: 'Delete a text and all that is known of its users',
        headers: DeleteHeaders,
        params: TextParams,
        response: { 204: Deleted, ...problems(...READ, 409, 412, 422) },
      },
    },
    async (request, reply) => {
      const enrolment = await app.enrolment()
      const text = await enrolment.text(request.caller, request.params.text)
      requireMatch(request, text.version)
      await enrolment.deleteText(text)
      return reply.code(204).send(null)
    },
  )
}

export const Deleted = Type.Null({ description: 'It is gone.' })
export const NotModified = Type.Null({
  description: 'It is as the caller has it: If-None-Match names its ETag.',
})
