{{/*
What a schema cannot say, each with what to do. Renders nothing.
*/}}

{{- define "siar.checks" -}}
{{- include "siar.checks.scope" . -}}
{{- include "siar.checks.redis" . -}}
{{- include "siar.checks.times" . -}}
{{- include "siar.checks.scaling" . -}}
{{- include "siar.checks.public" . -}}
{{- include "siar.checks.monitoring" . -}}
{{- if .Values.gateway.enabled -}}
{{- include "siar.checks.gatewayName" . -}}
{{- end -}}
{{- end -}}

{{- define "siar.checks.scope" -}}
{{- if eq .Values.rbac.scope "namespace" -}}
{{- if .Values.crds.enabled -}}
{{- fail "rbac.scope=namespace makes no object of the whole cluster, so crds.enabled=true does not go with it: let a cluster admin install the CRD with the command of the chart's README, and leave crds.enabled out." -}}
{{- end -}}
{{- if and .Values.gateway.defaultNamespace (ne .Values.gateway.defaultNamespace .Release.Namespace) -}}
{{- fail (printf "rbac.scope=namespace serves Channels of %q only: leave gateway.defaultNamespace out." .Release.Namespace) -}}
{{- end -}}
{{- range $name, $channel := .Values.channels -}}
{{- if and $channel.namespace (ne $channel.namespace $.Release.Namespace) -}}
{{- fail (printf "rbac.scope=namespace serves Channels of %q only: remove channels.%s.namespace." $.Release.Namespace $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "siar.checks.redis" -}}
{{- if contains "@" .Values.redis.url -}}
{{- fail "redis.url holds a user or password, which everybody could read in the Deployment: put them into keys username and password of a Secret, and name it in redis.existingSecret." -}}
{{- end -}}
{{- if and .Values.redis.existingSecret (not .Values.redis.url) -}}
{{- fail "redis.existingSecret is for a Redis of yours: name it in redis.url, or leave redis.existingSecret out." -}}
{{- end -}}
{{- end -}}

{{/* The programs would refuse to start. */}}
{{- define "siar.checks.times" -}}
{{- $hour := 3600000 -}}
{{- range $name, $time := dict "gateway.endpointDelay" .Values.gateway.endpointDelay "gateway.drain" .Values.gateway.drain "operator.scaleDownAfter" .Values.operator.scaleDownAfter "operator.scaleDownEvery" .Values.operator.scaleDownEvery -}}
{{- if gt (include "siar.millis" $time | int64) (int64 $hour) -}}
{{- fail (printf "%s is %s: write at most 1h." $name $time) -}}
{{- end -}}
{{- end -}}
{{- if lt (include "siar.millis" .Values.operator.scaleDownEvery | int64) (int64 1000) -}}
{{- fail (printf "operator.scaleDownEvery is %s: write at least 1s." .Values.operator.scaleDownEvery) -}}
{{- end -}}
{{- $grace := .Values.gateway.terminationGracePeriodSeconds -}}
{{- $needs := include "siar.gateway.shutdown" . | int64 -}}
{{- if and (not (kindIs "invalid" $grace)) (le (int64 $grace) $needs) -}}
{{- fail (printf "gateway.terminationGracePeriodSeconds is %d, but endpointDelay and drain take %d s, and Kubernetes would cut the streams that are left: raise it, or leave it out." (int64 $grace) $needs) -}}
{{- end -}}
{{- end -}}

{{- define "siar.checks.scaling" -}}
{{- $scaling := .Values.gateway.scaling -}}
{{- if gt (int $scaling.minReplicas) (int $scaling.maxReplicas) -}}
{{- fail (printf "gateway.scaling.minReplicas is %d and maxReplicas %d: raise maxReplicas or lower minReplicas." (int $scaling.minReplicas) (int $scaling.maxReplicas)) -}}
{{- end -}}
{{- if and .Values.gateway.enabled (has $scaling.mode (list "hpa" "keda")) (eq (include "siar.broker" .) "memory") -}}
{{- fail (printf "gateway.scaling.mode=%s needs a Redis, since gateways without one do not hear each other: set redis.url or redis.embedded.enabled=true, or use mode operator, which keeps such a fleet at one pod." $scaling.mode) -}}
{{- end -}}
{{- if and (eq $scaling.mode "keda") (not $scaling.keda.serverAddress) -}}
{{- fail "gateway.scaling.mode=keda asks a Prometheus: set gateway.scaling.keda.serverAddress, as in http://prometheus-operated.monitoring.svc:9090." -}}
{{- end -}}
{{- end -}}

{{- define "siar.checks.public" -}}
{{- with .Values.gateway -}}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) -}}
{{- fail "gateway.httpRoute.enabled=true needs the Gateway that it belongs to: set gateway.httpRoute.parentRefs, as in [{name: eg, namespace: envoy-gateway-system}]." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "siar.checks.monitoring" -}}
{{- with .Values.monitoring -}}
{{- if and .serviceMonitor.enabled .podMonitor.enabled -}}
{{- fail "monitoring.serviceMonitor and monitoring.podMonitor would have everything scraped twice: enable one of them." -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Two fleets with one name would serve the same Channels. In namespace scope nothing is served beyond home; and who makes no
ClusterRoles may not be allowed to look there.
*/}}
{{- define "siar.checks.gatewayName" -}}
{{- $everywhere := ternary "" .Release.Namespace (and .Values.rbac.create (eq .Values.rbac.scope "cluster")) -}}
{{- $ours := printf "%s-gateway" (include "siar.fullname" .) -}}
{{- range (lookup "apps/v1" "Deployment" $everywhere "").items -}}
{{- $found := .metadata -}}
{{- $same := and (eq $found.name $ours) (eq $found.namespace $.Release.Namespace) -}}
{{- if and (not $same) (eq (dig "labels" "siar.dev/gateway" "" $found) $.Values.gateway.name) -}}
{{- fail (printf "Deployment %s in namespace %s is already the gateway %q, and both would serve the same Channels: give this release another gateway.name." $found.name $found.namespace $.Values.gateway.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
