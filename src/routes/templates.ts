import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Archive, ArchiveBody, AskHeaders, Imported, PageQuery, TextParams } from '../schemas/enrolment.js'
import { problems } from '../schemas/problem.js'
import { reference } from '../schemas/reference.js'
import { afterOf, nextOf } from './cursor.js'

/** A text's templates, taken out and put in. */
export const templates: FastifyPluginAsyncTypebox<{ batchBodyLimit: number }> = async (
  app,
  { batchBodyLimit },
) => {
  app.get(
    '/texts/:text/templates',
    {
      config: { audit: 'export' },
      schema: {
        operationId: 'exportTemplates',
        tags: ['enrolment'],
        summary: 'Templates of a text, sealed, to be imported elsewhere',
        params: TextParams,
        querystring: PageQuery,
        response: { 200: reference(Archive, 'So many of its users.'), ...problems(400, 404, 406, 414) },
      },
    },
    async (request) => {
      const { caller, params, query } = request
      const enrolment = await app.enrolment()
      const text = await enrolment.text(caller, params.text)
      const { after, limit } = afterOf(query)
      const { archive, users } = await enrolment.exported(text, after, limit)
      for (const { key } of users) request.audit('done', key)
      return { ...archive, ...nextOf(users, limit, ({ key }) => key) }
    },
  )

  app.post(
    '/texts/:text/templates',
    {
      bodyLimit: batchBodyLimit,
      config: { audit: 'import' },
      schema: {
        operationId: 'importTemplates',
        tags: ['enrolment'],
        summary: 'Enrol the users of an export who are not enrolled yet',
        headers: AskHeaders,
        params: TextParams,
        body: ArchiveBody,
        response: { 200: Imported, ...problems(400, 404, 406, 408, 409, 413, 414, 415, 422, 431) },
      },
    },
    async (request, reply) => {
      const { caller, params, body } = request
      await app.charge(request, reply, Math.max(0, body.users.length - 1))
      const enrolment = await app.enrolment()
      const text = await enrolment.text(caller, params.text)
      return enrolment.imported(text, body, (user, enrolled) =>
        request.audit(enrolled ? 'done' : 'kept', user),
      )
    },
  )
}
