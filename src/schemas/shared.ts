import { Archive, Enrolled, EnrolledAttempts, EnrolledTyping, Text } from './enrolment.js'
import { Health } from './health.js'
import { InferenceError, InferRequest, InferResponse, ModelMetadata } from './inference-protocol.js'
import { ModelCard } from './model.js'
import { Problem } from './problem.js'
import { Recognition } from './recognition.js'
import {
  Attempts,
  ClaimedAttempts,
  ClaimedTyping,
  Keystroke,
  NamedAttempts,
  NamedSummary,
  NamedTyping,
  Summary,
  Typing,
} from './sample.js'

/** The schemas that others refer to by name: the components of the OpenAPI document. */
export const shared = [
  Problem,
  Keystroke,
  Summary,
  Typing,
  Attempts,
  NamedSummary,
  NamedTyping,
  NamedAttempts,
  ClaimedTyping,
  ClaimedAttempts,
  Recognition,
  Text,
  Enrolled,
  EnrolledTyping,
  EnrolledAttempts,
  Archive,
  Health,
  ModelCard,
  InferRequest,
  InferResponse,
  ModelMetadata,
  InferenceError,
]
