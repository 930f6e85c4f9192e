{{/*
What follows from the values: each derived once, so that flags, annotations, rights and NOTES never differ.
A fact that is true or not renders "true" or nothing.
*/}}

{{/* Whether this release owns the CRD and the ClusterRoles that are aggregated. */}}
{{- define "siar.crds" -}}
{{- if kindIs "invalid" .Values.crds.enabled -}}
{{- if and .Values.operator.enabled (eq .Values.rbac.scope "cluster") -}}true{{- end -}}
{{- else if .Values.crds.enabled -}}true{{- end -}}
{{- end -}}

{{/* Whether gateways may ask the API server about service accounts. */}}
{{- define "siar.reviews" -}}
{{- if kindIs "invalid" .Values.gateway.reviews -}}
{{- if eq .Values.rbac.scope "cluster" -}}true{{- end -}}
{{- else if .Values.gateway.reviews -}}true{{- end -}}
{{- end -}}

{{/* Whether this release starts a Redis: its only user is the gateway. */}}
{{- define "siar.redis.embedded" -}}
{{- if and .Values.gateway.enabled .Values.redis.embedded.enabled (not .Values.redis.url) -}}true{{- end -}}
{{- end -}}

{{/* The gateway's own Redis; nothing means memory. */}}
{{- define "siar.redis.url" -}}
{{- if .Values.redis.url -}}
{{- .Values.redis.url -}}
{{- else if include "siar.redis.embedded" . -}}
redis://{{ include "siar.fullname" . }}-redis.{{ .Release.Namespace }}.svc:6379
{{- end -}}
{{- end -}}

{{- define "siar.broker" -}}
{{- if include "siar.redis.url" . -}}redis{{- else -}}memory{{- end -}}
{{- end -}}

{{- define "siar.defaultNamespace" -}}
{{- .Values.gateway.defaultNamespace | default .Release.Namespace -}}
{{- end -}}

{{/* Where pods of the cluster reach the gateways. */}}
{{- define "siar.innerUrl" -}}
http://{{ include "siar.fullname" . }}-gateway.{{ .Release.Namespace }}.svc:{{ int .Values.gateway.service.port }}
{{- end -}}

{{/* Where browsers reach them: what status.url of a Channel begins with. */}}
{{- define "siar.url" -}}
{{- $ingress := .Values.gateway.ingress -}}
{{- $route := .Values.gateway.httpRoute -}}
{{- if .Values.gateway.publicUrl -}}
{{- .Values.gateway.publicUrl | trimSuffix "/" -}}
{{- else if and $ingress.enabled $ingress.hosts (not (hasPrefix "*" (first $ingress.hosts))) -}}
{{- ternary "https" "http" (not (empty $ingress.tls)) }}://{{ first $ingress.hosts -}}
{{- else if and $route.enabled $route.hostnames (not (hasPrefix "*" (first $route.hostnames))) -}}
https://{{ first $route.hostnames }}
{{- else -}}
{{- include "siar.innerUrl" . -}}
{{- end -}}
{{- end -}}

{{/* The Secrets of configuration that the operator writes, as a JSON list. An empty list in resourceNames would mean every Secret. */}}
{{- define "siar.snapshots" -}}
{{- $names := list -}}
{{- if .Values.gateway.enabled -}}
{{- $names = append $names (printf "siar-%s" .Values.gateway.name) -}}
{{- end -}}
{{- range .Values.operator.fleets -}}
{{- $names = append $names (printf "siar-%s" .) -}}
{{- end -}}
{{- if not $names -}}
{{- fail "operator.enabled=true with gateway.enabled=false serves no fleet: list those of other releases in operator.fleets, or set operator.enabled=false." -}}
{{- end -}}
{{- $names | uniq | toJson -}}
{{- end -}}

{{/* Milliseconds of a duration such as 5s, 1h30m or 250ms. */}}
{{- define "siar.millis" -}}
{{- $units := dict "ms" 1 "s" 1000 "m" 60000 "h" 3600000 -}}
{{- $millis := 0 -}}
{{- range regexFindAll "[0-9]+(ms|s|m|h)" . -1 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- $millis = add $millis (mul (trimSuffix $unit . | atoi) (get $units $unit)) -}}
{{- end -}}
{{- $millis -}}
{{- end -}}

{{/* Seconds that the shutdown of a gateway takes, rounded up; a wait in front of it counts, too. */}}
{{- define "siar.gateway.shutdown" -}}
{{- $delay := include "siar.millis" .Values.gateway.endpointDelay | int64 -}}
{{- $drain := include "siar.millis" .Values.gateway.drain | int64 -}}
{{- $wait := dig "preStop" "sleep" "seconds" 0 (default dict .Values.gateway.lifecycle) | int64 -}}
{{- add $wait (div (add $delay $drain 999) 1000) -}}
{{- end -}}

{{/* How long Kubernetes lets a gateway take to end: its shutdown, and 10 s for what is on its way. */}}
{{- define "siar.gateway.grace" -}}
{{- if kindIs "invalid" .Values.gateway.terminationGracePeriodSeconds -}}
{{- add (include "siar.gateway.shutdown" . | int64) 10 -}}
{{- else -}}
{{- .Values.gateway.terminationGracePeriodSeconds | int -}}
{{- end -}}
{{- end -}}

{{/* Bytes of a quantity such as 256Mi. */}}
{{- define "siar.bytes" -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- $text := toString . -}}
{{- if not (regexMatch "^[0-9]+(k|M|G|Ki|Mi|Gi)?$" $text) -}}
{{- fail (printf "redis.embedded.resources.limits.memory is %q: write a whole number with Mi or Gi, or set redis.embedded.maxmemory." $text) -}}
{{- end -}}
{{- $unit := regexFind "[A-Za-z]*$" $text -}}
{{- mul (trimSuffix $unit $text | int64) (get $units $unit | int64) -}}
{{- end -}}

{{/* What the embedded Redis may keep: three quarters of its limit, since copies for its file need the rest. */}}
{{- define "siar.redis.maxmemory" -}}
{{- $redis := .Values.redis.embedded -}}
{{- if $redis.maxmemory -}}
{{- $redis.maxmemory -}}
{{- else -}}
{{- $limit := dig "limits" "memory" "" $redis.resources -}}
{{- if not $limit -}}
{{- fail "The embedded Redis needs a bound: set redis.embedded.resources.limits.memory, of which it takes three quarters, or redis.embedded.maxmemory." -}}
{{- end -}}
{{- div (mul (include "siar.bytes" $limit | int64) 3) 4 -}}
{{- end -}}
{{- end -}}

{{/*
Another Deployment with this gateway's name, whose fleet would serve the same Channels; nothing without a cluster to ask. In
namespace scope nothing is served beyond home; and who makes no ClusterRoles may not be allowed to look there.
*/}}
{{- define "siar.twin" -}}
{{- $everywhere := ternary "" .Release.Namespace (and .Values.rbac.create (eq .Values.rbac.scope "cluster")) -}}
{{- $ours := printf "%s-gateway" (include "siar.fullname" .) -}}
{{- $twin := "" -}}
{{- range (lookup "apps/v1" "Deployment" $everywhere "").items -}}
{{- $found := .metadata -}}
{{- $same := and (eq $found.name $ours) (eq $found.namespace $.Release.Namespace) -}}
{{- if and (not $same) (eq (dig "labels" "siar.dev/gateway" "" $found) $.Values.gateway.name) -}}
{{- $twin = printf "Deployment %s in namespace %s" $found.name $found.namespace -}}
{{- end -}}
{{- end -}}
{{- $twin -}}
{{- end -}}
