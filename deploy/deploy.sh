#!/usr/bin/env bash
# From this folder to a public endpoint on AWS, and back.
#
#   deploy/deploy.sh up [Parameter=value ...]   build, push, deploy and try it; again: only what has changed
#   deploy/deploy.sh status                     what runs, and where
#   deploy/deploy.sh smoke                      ask the endpoint; prints the curl
#   deploy/deploy.sh rollback [sha256:...]      back to the image that ran before, or to another; again: forth
#   deploy/deploy.sh down [--images] [--yes]    delete the service; with --images the repository, too
#
# Parameters are those of deploy/service.yaml (MemorySize=512 Models=best,rf ...); what is not given stays as it is, and
# `Parameter=` with nothing after it empties one. A rollback changes the image alone, no parameter.
#
# From the environment, all optional:
#   AWS_PROFILE, AWS_REGION, ...   as for the AWS CLI; the region is us-east-1 where nothing says another
#   AWS_ACCOUNT_ID                 the account that it must be, to be safe from the wrong one
#   FUNCTION, REPOSITORY           the names; keystroke_based_user_recognition and threatfabric
#   STACK, REGISTRY_STACK          the stacks' names; by default made of these
#   PLATFORM                       linux/arm64 or linux/amd64; the Docker engine's own by default
#   IMAGE                          an image that is in the repository already, by tag or digest: nothing is built
#   BUILD_NETWORK                  the network of the build; host where only the machine itself reaches the registries
#   SAMPLE, TOKEN, API_KEY         a body for smoke, and a token or key where the API asks for one
set -euo pipefail
case ${SAMPLE:-/} in /*) ;; *) SAMPLE=$PWD/$SAMPLE ;; esac
cd "$(dirname "${BASH_SOURCE[0]}")/.."

function=${FUNCTION:-keystroke_based_user_recognition}
repository=${REPOSITORY:-threatfabric}
advice="aws logs filter-log-events --log-group-name /aws/lambda/$function tells more"
# Stacks may not have underscores or slashes in their names.
stack=${STACK:-${function//_/-}}
registry_stack=${REGISTRY_STACK:-$(tr '/_.' '---' <<<"$repository")-registry}

for name in "$stack" "$registry_stack"; do
  if ! [[ $name =~ ^[A-Za-z][A-Za-z0-9-]{0,127}$ ]]; then
    echo "deploy: $name can't be the name of a stack: set STACK and REGISTRY_STACK" >&2
    exit 1
  fi
done

# Version 2 of the AWS CLI would open a pager.
export AWS_PAGER=
errors=$(mktemp)
pushed=$(mktemp)
trap 'rm -f "$errors" "$pushed"' EXIT

say() { printf '\n==> %s\n' "$*"; }
die() {
  printf 'deploy: %s\n' "$*" >&2
  exit 1
}
usage() { sed -n '2,/^set /s/^# \{0,1\}//p' deploy/deploy.sh; }

# Ends it with what the AWS CLI wrote, and what that means.
explain() {
  cat "$errors" >&2
  case $(cat "$errors") in
    *'Unable to locate credentials'* | *'could not be found'*profile* | *'profile'*'could not be found'*)
      die 'there are no AWS credentials: run aws configure, or set AWS_PROFILE' ;;
    *'loading SSO Token'* | *ExpiredToken* | *'session associated with this profile has expired'* | *'Token has expired'*)
      die 'the AWS credentials have expired: log in again (aws sso login)' ;;
    *InvalidClientTokenId* | *UnrecognizedClient* | *SignatureDoesNotMatch*)
      die 'AWS does not know these credentials' ;;
    *AccessDenied* | *'not authorized to perform'* | *UnauthorizedOperation*)
      die 'these credentials may not do that; docs/aws-by-hand.md says what they must be allowed' ;;
    *'Unknown options'*import-existing*)
      die "the repository $repository is there already, and this AWS CLI is too old to take it over: from 1.30.3 or 2.13.38 on it can" ;;
    *'Could not connect to the endpoint'*)
      die "there is no way to AWS from here, or no region $region" ;;
    *) die 'AWS refused that, and says why above' ;;
  esac
}

# What an AWS command answers, as text.
ask() { aws "$@" --output text 2>"$errors" || explain; }

# The same; nothing where what it describes is not there, which AWS says as in $1.
ask_for() {
  local absent=$1
  shift
  aws "$@" --output text 2>"$errors" || grep --quiet "$absent" "$errors" || explain
}

# none where there is no such stack
stack_status() {
  local status
  # Within $(...) a failure would go unnoticed otherwise.
  status=$(ask_for 'does not exist' cloudformation describe-stacks --stack-name "$1" --query 'Stacks[0].StackStatus') || exit 1
  echo "${status:-none}"
}

# A parameter or an output of the service's stack; nothing where it has none.
of_stack() {
  local value
  value=$(ask cloudformation describe-stacks --stack-name "$stack" --query "Stacks[0].$1 | [0]") || exit 1
  if [ "$value" != None ]; then printf '%s\n' "$value"; fi
}
parameter() { of_stack "Parameters[?ParameterKey=='$1'].ParameterValue"; }
output() { of_stack "Outputs[?OutputKey=='$1'].OutputValue"; }

# A stack whose first creation failed holds nothing, or what could not be deleted, and can't be updated.
clear_failed() {
  local status
  status=$(stack_status "$1")
  case $status in
    ROLLBACK_COMPLETE | ROLLBACK_FAILED | REVIEW_IN_PROGRESS)
      say "Clearing away $1, whose first creation failed"
      delete_stack "$1" ;;
    *) ;;
  esac
}

# deploy_stack NAME TEMPLATE PARAMETER=VALUE...
deploy_stack() {
  local name=$1 template=$2 status
  shift 2
  status=$(stack_status "$name")
  case $status in
    *_IN_PROGRESS) die "the stack $name is being changed by somebody else ($status): try again when they are done" ;;
  esac
  if ! aws cloudformation deploy --stack-name "$name" --template-file "$template" --no-fail-on-empty-changeset \
    --capabilities CAPABILITY_IAM --parameter-overrides "$@" 2>"$errors"; then
    aws cloudformation describe-stack-events --stack-name "$name" --output text --no-paginate \
      --query "StackEvents[?contains(ResourceStatus, 'FAILED') && !contains(not_null(ResourceStatusReason, ''), 'cancelled')] | [:3].[LogicalResourceId, ResourceStatusReason]" >&2 2>/dev/null || true
    explain
  fi
}

delete_stack() {
  ask cloudformation delete-stack --stack-name "$1"
  ask cloudformation wait stack-delete-complete --stack-name "$1"
}

need_stack() {
  local status
  status=$(stack_status "$stack")
  if [[ $status =~ ^(none|ROLLBACK_COMPLETE|ROLLBACK_FAILED|REVIEW_IN_PROGRESS)$ ]]; then
    die "there is no stack $stack in account $account, region $region ($status): deploy/deploy.sh up makes it"
  fi
}

# The repository's ARN; nothing where there is none.
find_repository() {
  ask_for RepositoryNotFoundException ecr describe-repositories --repository-names "$repository" \
    --query 'repositories[0].repositoryArn'
}

# Takes a repository that was made by hand into a stack. Only its name: what else the template says is then a change, which
# is carried out; on taking over it would be taken as true. And the policy: what the template lacks would be taken away,
# and functions that have run from there would lose their image.
adopt_repository() {
  local status policy
  say "Taking over the repository $repository into the stack $registry_stack"
  policy=$(ask_for RepositoryPolicyNotFoundException ecr get-repository-policy --repository-name "$repository" --query policyText)
  if [ -n "$policy" ]; then policy=', "RepositoryPolicyText": '$policy; fi
  ask cloudformation create-change-set --stack-name "$registry_stack" --change-set-name adopt --change-set-type CREATE \
    --import-existing-resources --query Id --template-body '{"Resources": {"Repository": {
      "Type": "AWS::ECR::Repository", "DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain",
      "Properties": {"RepositoryName": "'"$repository"'"'"$policy"'}}}}'
  if ! aws cloudformation wait change-set-create-complete --stack-name "$registry_stack" --change-set-name adopt 2>"$errors"; then
    aws cloudformation describe-change-set --stack-name "$registry_stack" --change-set-name adopt --output text \
      --query StatusReason >&2 || true
    explain
  fi
  ask cloudformation execute-change-set --stack-name "$registry_stack" --change-set-name adopt
  while
    sleep 1
    status=$(stack_status "$registry_stack")
    [[ $status == *_IN_PROGRESS ]]
  do :; done
  [[ $status != *ROLLBACK* && $status == *_COMPLETE ]] || die "the repository could not be taken over: $status"
}

# A function of that name that no stack of ours made would fail the deployment half way.
refuse_foreign() {
  local group found
  found=$(ask_for ResourceNotFoundException lambda get-function --function-name "$function" --query Configuration.FunctionArn)
  if [ -n "$found" ]; then
    die "there is a function $function already that the stack $stack did not make: delete it, but not the repository (docs/aws-by-hand.md, Clean up), or set FUNCTION to another name"
  fi
  for group in "/aws/lambda/$function" "/aws/vendedlogs/http-api/$function"; do
    found=$(ask logs describe-log-groups --log-group-name-prefix "$group" --query "logGroups[?logGroupName=='$group'].logGroupName")
    if [ -n "$found" ]; then
      die "there is a log group $group already that the stack $stack did not make: delete it (aws logs delete-log-group --log-group-name $group), or set FUNCTION to another name"
    fi
  done
}

# The digest of the image that is called $1 in the repository; nothing where none is.
find_image() {
  local found
  found=$(ask_for ImageNotFoundException ecr describe-images --repository-name "$repository" --image-ids "$1" \
    --query 'imageDetails[0].imageDigest') || exit 1
  if [ "$found" != None ]; then printf '%s\n' "$found"; fi
}

# Sets $digest to that of IMAGE, or of one that it builds and pushes.
provide_image() {
  local platform id
  if [ -n "${IMAGE:-}" ]; then
    case $IMAGE in
      sha256:*) id="imageDigest=$IMAGE" ;;
      *) id="imageTag=$IMAGE" ;;
    esac
    digest=$(find_image "$id")
    if [ -z "$digest" ]; then die "there is no image $IMAGE in $uri"; fi
    return
  fi
  platform=${PLATFORM:-$(docker version --format '{{.Server.Os}}/{{.Server.Arch}}')}
  say "Building for $platform"
  # With provenance or an SBOM beside the image, an index is pushed, which Lambda refuses.
  docker build --load --provenance=false --sbom=false --platform "$platform" --network "${BUILD_NETWORK:-default}" \
    --target lambda --tag "$uri:latest" .
  say "Pushing to $uri"
  docker push "$uri:latest" | tee "$pushed"
  digest=$(grep -o 'sha256:[0-9a-f]\{64\}' "$pushed" | tail -1) || die 'docker push names no digest'
}

# Refuses what Lambda would, and sets $architecture to what Lambda calls that of the image.
check_image() {
  local type
  type=$(ask ecr describe-images --repository-name "$repository" --image-ids "imageDigest=$digest" \
    --query 'imageDetails[0].imageManifestMediaType')
  case $type in
    application/vnd.docker.distribution.manifest.v2+json | application/vnd.oci.image.manifest.v1+json) ;;
    *index* | *list*)
      die "$digest is an image index ($type), which Lambda refuses: build with --provenance=false --sbom=false for one platform" ;;
    *) die "$digest in $uri is no image ($type)" ;;
  esac
  docker pull --quiet "$uri@$digest" >/dev/null
  case $(docker image inspect --format '{{.Architecture}}' "$uri@$digest") in
    amd64) architecture=x86_64 ;;
    arm64) architecture=arm64 ;;
    *) die "$digest is for an architecture that Lambda does not have" ;;
  esac
}

log_in() {
  uri=$(ask ecr describe-repositories --repository-names "$repository" --query 'repositories[0].repositoryUri')
  ask ecr get-login-password | docker login --username AWS --password-stdin "${uri%%/*}"
}

# Gives an image a tag, so that the repository does not clear it away.
keep_image() {
  local manifest type
  manifest=$(ask ecr batch-get-image --repository-name "$repository" --image-ids "imageDigest=$1" --query 'images[0].imageManifest')
  type=$(ask ecr batch-get-image --repository-name "$repository" --image-ids "imageDigest=$1" --query 'images[0].imageManifestMediaType')
  aws ecr put-image --repository-name "$repository" --image-digest "$1" --image-manifest "$manifest" \
    --image-manifest-media-type "$type" --image-tag "$2" >/dev/null 2>"$errors" \
    || grep --quiet ImageAlreadyExistsException "$errors" || explain
}

# deploy_image PREVIOUS PARAMETER=VALUE...: the image $digest, after which a rollback returns to PREVIOUS
deploy_image() {
  local previous=$1 found=''
  shift
  say "Deploying $digest as $function"
  deploy_stack "$stack" deploy/service.yaml "$@" FunctionName="$function" \
    ImageUri="$uri@$digest" PreviousImageUri="$previous" Architecture="$architecture"
  keep_image "$digest" "deployed-$function"
  # Somebody may have deleted it since, or it came from another repository.
  if [ "${previous%@*}" = "$uri" ]; then found=$(find_image "imageDigest=${previous##*@}"); fi
  if [ -n "$found" ]; then keep_image "$found" "before-$function"; fi
}

up() {
  local one status repository_arn current='' previous=''
  for one in "$@"; do
    case $one in
      ImageUri=* | PreviousImageUri=* | Architecture=* | FunctionName=*) die "${one%%=*} is not yours to set: see FUNCTION, IMAGE and PLATFORM in deploy/deploy.sh help" ;;
      [A-Z]*=*) ;;
      *) die "$one is no parameter such as MemorySize=512" ;;
    esac
    if ! grep --quiet "^  ${one%%=*}:\$" <(sed -n '/^Parameters:/,/^Rules:/p' deploy/service.yaml); then
      die "deploy/service.yaml has no parameter ${one%%=*}"
    fi
  done
  clear_failed "$stack"
  clear_failed "$registry_stack"
  status=$(stack_status "$stack")
  if [ "$status" = none ]; then
    refuse_foreign
  else
    current=$(parameter ImageUri)
    previous=$(parameter PreviousImageUri)
  fi

  status=$(stack_status "$registry_stack")
  repository_arn=$(find_repository)
  if [ "$status" = none ] && [ -n "$repository_arn" ]; then adopt_repository; fi
  say "Repository $repository"
  deploy_stack "$registry_stack" deploy/registry.yaml RepositoryName="$repository"

  log_in
  provide_image
  check_image
  if [ -n "$current" ] && [ "$current" != "$uri@$digest" ]; then
    previous=$current
    advice="$advice; deploy/deploy.sh rollback returns to the image before"
  elif [ $# -gt 0 ]; then
    advice="$advice; deploy/deploy.sh up with another value of $* changes it back"
  fi
  deploy_image "$previous" "$@"
  smoke
}

rollback() {
  local current previous found
  need_stack
  current=$(parameter ImageUri)
  previous=$(parameter PreviousImageUri)
  if [ $# -gt 0 ]; then previous=${current%@*}@$1; fi
  if [ -z "$previous" ]; then die 'no other image has run before this one: there is nothing to return to'; fi
  digest=${previous##*@}
  if [ "$previous" = "$current" ]; then die "$digest runs already"; fi
  # What it is called and the repository that it is in, whatever FUNCTION and REPOSITORY say today.
  function=$(parameter FunctionName)
  repository=${previous#*/}
  repository=${repository%@*}
  log_in
  found=$(find_image "imageDigest=$digest")
  if [ -z "$found" ]; then
    die "the image $digest is not in the repository any more"
  fi
  check_image
  deploy_image "$current"
  smoke
}

line() { printf '%-17s %s\n' "$1" "$2"; }

status() {
  local name state
  state=$(stack_status "$registry_stack")
  line stack "$registry_stack: $state"
  need_stack
  state=$(stack_status "$stack")
  line stack "$stack: $state"
  name=$(parameter FunctionName)
  state=$(ask lambda get-function-configuration --function-name "$name" \
    --query "join(' ', [State, LastUpdateStatus, to_string(MemorySize), 'MB, since', LastModified])")
  line function "$name: $state"
  for name in Architecture ImageUri PreviousImageUri Models ModelUri; do
    state=$(parameter "$name")
    line "$name" "$state"
  done
  for name in Endpoint Url DomainTarget LogGroup; do
    state=$(output "$name")
    line "$name" "$state"
  done
  state=$(ask cloudwatch describe-alarms --state-value ALARM --alarm-name-prefix "$stack-" \
    --query "join(', ', MetricAlarms[].AlarmName)")
  line alarms "${state:-none}"
}

# post URL BODY: sets $code and $answer; a new endpoint takes a moment to be everywhere
post() {
  local try got
  for try in 1 2 3 4 5 6 7 8; do
    got=$(curl --silent --show-error --max-time 40 --write-out '\n%{http_code}' "$1" \
      --header 'content-type: application/json' ${credentials[@]+"${credentials[@]}"} ${2:+--data "$2"}) || true
    code=${got##*$'\n'}
    answer=${got%$'\n'*}
    case $code in 000 | 403 | 404 | 5??) [ "$try" = 8 ] || sleep $((try < 4 ? 1 : 5)) ;; *) return ;; esac
  done
}

smoke() {
  local endpoint base missing names name body
  need_stack
  endpoint=$(output Endpoint)
  base=${endpoint%/*}
  credentials=()
  if [ -n "${TOKEN:-}" ]; then credentials+=(--header "authorization: Bearer $TOKEN"); fi
  if [ -n "${API_KEY:-}" ]; then credentials+=(--header "x-api-key: $API_KEY"); fi
  say "Asking $endpoint"
  post "$base/health"
  if [ "$code" != 200 ]; then
    die "$base/health answers $code: $answer ($advice)"
  fi
  missing=
  if [ -z "${API_KEY:-}" ] && [ -n "$(parameter ApiKeys)" ]; then missing='a key, and API_KEY'; fi
  if [ -z "${TOKEN:-}" ] && [ -n "$(parameter JwtIssuer)" ]; then missing='a token, and TOKEN'; fi
  if [ -n "$missing" ]; then
    echo "It is well. What it recognises was not asked: the API wants $missing is not set."
    return
  fi
  if [ -n "${SAMPLE:-}" ]; then
    body=$(cat "$SAMPLE")
  else
    post "$base/models"
    names=$(grep -o '"name":"[^"]*"' <<<"$answer" | cut -d'"' -f4) || die "$base/models answers $code: $answer"
    name=$(grep -x rf <<<"$names" || head -1 <<<"$names")
    body=$(tr -d '\n' <docs/examples/summary.json | sed "s/\"RF\"/\"$name\"/; s/  */ /g")
  fi
  post "$endpoint" "$body"
  if [ "$code" = 422 ] && [ -z "${SAMPLE:-}" ]; then
    # A model of raw keystrokes.
    body=$(tr -d '\n' <docs/examples/typing.json | sed "s/^{/{ \"Model\": \"$name\",/; s/  */ /g")
    post "$endpoint" "$body"
  fi
  if [ "$code" != 200 ] || [[ $answer != *'"prediction":'* ]]; then
    die "$endpoint answers $code: $answer (with models of your own, name a body in SAMPLE; $advice)"
  fi
  printf "curl -s %s -H 'content-type: application/json'%s%s -d '%s'\n%s\n" "$endpoint" \
    "${TOKEN:+ -H \"authorization: Bearer \$TOKEN\"}" "${API_KEY:+ -H \"x-api-key: \$API_KEY\"}" "$body" "$answer"
}

# confirm NAME WHAT: goes on only where the name is typed
confirm() {
  local typed
  if [ -n "$yes" ]; then return; fi
  read -r -p "This deletes $2 in account $account, region $region. Type $1 to go on: " typed || true
  if [ "$typed" != "$1" ]; then die 'nothing more is deleted'; fi
}

down() {
  local one status repository_arn yes='' images=''
  for one in "$@"; do
    case $one in
      --yes) yes=1 ;;
      --images) images=1 ;;
      *) die "down knows --images and --yes, not $one" ;;
    esac
  done
  status=$(stack_status "$stack")
  if [ "$status" != none ]; then
    confirm "$stack" "the function $function, its API and its logs"
    say "Deleting the stack $stack"
    delete_stack "$stack"
  fi
  repository_arn=$(find_repository)
  if [ -z "$images" ]; then
    if [ -n "$repository_arn" ]; then echo "The repository $repository stays; --images deletes it, too."; fi
    return
  fi
  if [ -n "$repository_arn" ]; then
    confirm "$repository" "the repository $repository with all images"
    say "Deleting the repository $repository"
    ask ecr delete-repository --repository-name "$repository" --force --query repository.repositoryArn
  fi
  status=$(stack_status "$registry_stack")
  if [ "$status" != none ]; then delete_stack "$registry_stack"; fi
}

# Who asks, and where: sets $account and $region.
identify() {
  local tool
  for tool in aws curl; do
    command -v "$tool" >/dev/null || die "$tool is not installed"
  done
  region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region 2>/dev/null || true)}}
  region=${region:-us-east-1}
  # Version 1 of the AWS CLI reads the one, version 2 both.
  export AWS_REGION=$region AWS_DEFAULT_REGION=$region
  account=$(ask sts get-caller-identity --query Account)
  if [ "${AWS_ACCOUNT_ID:-$account}" != "$account" ]; then
    die "these credentials are of account $account, not of $AWS_ACCOUNT_ID"
  fi
  say "Account $account, region $region"
}

need_docker() {
  command -v docker >/dev/null || die 'docker is not installed'
  docker version >/dev/null 2>"$errors" || die "Docker does not answer: $(cat "$errors")"
  docker buildx version >/dev/null 2>&1 || die 'docker lacks buildx, which builds the image'
}

command=${1:-help}
shift || true
case $command in
  up | rollback)
    need_docker
    identify
    "$command" "$@" ;;
  status | smoke | down)
    identify
    "$command" "$@" ;;
  help | --help | -h) usage ;;
  *)
    usage >&2
    exit 2 ;;
esac
