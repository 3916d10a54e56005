// By name: of what is imported on demand a bundle would hold all, 100 kB of it.
export { createLocalJWKSet, createRemoteJWKSet, customFetch, errors, jwtVerify } from 'jose'
