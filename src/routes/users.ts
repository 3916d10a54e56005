import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import {
  DeleteHeaders,
  EnrolBody,
  Enrolled,
  EnrolledList,
  Enrolment,
  PageQuery,
  ReadHeaders,
  SampleParams,
  TextParams,
  UserParams,
  WriteHeaders,
} from '../schemas/enrolment.js'
import { problems } from '../schemas/problem.js'
import { reference } from '../schemas/reference.js'
import { afterOf, nextOf } from './cursor.js'
import { entityTag, isNotModified, requireMatch } from './preconditions.js'
import { Deleted, NotModified } from './texts.js'
import { typedOf } from './typed.js'

/** Whom a text knows: enrolled by a few typings each, and forgotten. */
export const users: FastifyPluginAsyncTypebox<{ basePath: string }> = async (app, { basePath }) => {
  const textOf = async ({ caller, params }: FastifyRequest) => {
    const enrolment = await app.enrolment()
    return { enrolment, text: await enrolment.text(caller, (params as { text: string }).text) }
  }

  app.post(
    '/texts/:text/users/:user/samples',
    {
      config: { audit: 'enrol' },
      schema: {
        operationId: 'enrol',
        tags: ['enrolment'],
        summary: 'Add typings of a user',
        headers: WriteHeaders,
        params: UserParams,
        body: EnrolBody,
        response: { 201: Enrolment, ...problems(400, 404, 406, 408, 409, 412, 413, 414, 415, 422, 431) },
      },
    },
    async (request, reply) => {
      const { enrolment, text } = await textOf(request)
      const { typings, quality } = typedOf(app, request.body, text.keys)
      await app.charge(request, reply, typings.length - 1)
      const { user: name } = request.params
      const { user, added } = await enrolment.enrol(text, name, typings, (version) =>
        requireMatch(request, version),
      )
      const profile = enrolment.profile(text, user)
      const { needed, state, errorRates } = profile
      const { length: samples } = profile.samples
      reply.code(201).header('etag', entityTag(user.version))
      reply.header('location', `${basePath}/texts/${text.name}/users/${encodeURIComponent(name)}`)
      return { user: name, added, samples, enough: needed === 0, needed, state, quality, errorRates }
    },
  )

  app.get(
    '/texts/:text/users',
    {
      schema: {
        operationId: 'listUsers',
        tags: ['enrolment'],
        summary: 'The users of a text',
        params: TextParams,
        querystring: PageQuery,
        response: { 200: EnrolledList, ...problems(400, 404, 406, 414) },
      },
    },
    async (request) => {
      const { enrolment, text } = await textOf(request)
      const { after, limit } = afterOf(request.query)
      const users = await enrolment.users(text, after, limit)
      const listed = users.map(({ key: user, value }) => ({
        user,
        state: enrolment.stateOf(value),
        samples: value.samples.length,
        updated: value.updated,
      }))
      return { users: listed, ...nextOf(users, limit, ({ key }) => key) }
    },
  )

  app.get(
    '/texts/:text/users/:user',
    {
      schema: {
        operationId: 'describeUser',
        tags: ['enrolment'],
        summary: 'One user of a text: how many samples, and what to expect of them; no times',
        headers: ReadHeaders,
        params: UserParams,
        response: {
          200: reference(Enrolled, 'The user.'),
          304: NotModified,
          ...problems(400, 404, 406, 414),
        },
      },
    },
    async (request, reply) => {
      const { enrolment, text } = await textOf(request)
      const user = await enrolment.user(text, request.params.user)
      reply.header('etag', entityTag(user.version))
      if (isNotModified(request, user.version)) return reply.code(304).send(null)
      return enrolment.profile(text, user)
    },
  )

  app.delete(
    '/texts/:text/users/:user',
    {
      config: { audit: 'delete-user' },
      schema: {
        operationId: 'deleteUser',
        tags: ['enrolment'],
        summary: 'Forget a user',
        headers: DeleteHeaders,
        params: UserParams,
        response: { 204: Deleted, ...problems(400, 404, 406, 409, 412, 414, 422) },
      },
    },
    async (request, reply) => {
      const { enrolment, text } = await textOf(request)
      await enrolment.deleteUser(text, request.params.user, (version) => requireMatch(request, version))
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/texts/:text/users/:user/samples/:sample',
    {
      config: { audit: 'delete-sample' },
      schema: {
        operationId: 'deleteSample',
        tags: ['enrolment'],
        summary: 'Forget one typing of a user',
        headers: DeleteHeaders,
        params: SampleParams,
        response: { 204: Deleted, ...problems(400, 404, 406, 409, 412, 414, 422) },
      },
    },
    async (request, reply) => {
      const { enrolment, text } = await textOf(request)
      const { user, sample } = request.params
      await enrolment.deleteSample(text, user, sample, (version) => requireMatch(request, version))
      return reply.code(204).send(null)
    },
  )
}
