{{/*
What a schema cannot say, each with what to do. Renders nothing.
*/}}

{{- define "siar.checks" -}}
{{- include "siar.checks.scope" . -}}
{{- include "siar.checks.names" . -}}
{{- include "siar.checks.accounts" . -}}
{{- include "siar.checks.redis" . -}}
{{- include "siar.checks.times" . -}}
{{- include "siar.checks.pods" . -}}
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

{{/* Helm lets releases have names that a Service may not have. */}}
{{- define "siar.checks.names" -}}
{{- $full := include "siar.fullname" . -}}
{{- if not (regexMatch "^[a-z]([a-z0-9-]*[a-z0-9])?$" $full) -}}
{{- fail (printf "Names of objects would begin with %q, and a Service may have no dot and no digit in front: choose another name for the release, or set fullnameOverride to letters, digits and -, beginning with a letter." $full) -}}
{{- end -}}
{{- $labels := dict "commonLabels" .Values.commonLabels "gateway.podLabels" .Values.gateway.podLabels "operator.podLabels" .Values.operator.podLabels "redis.embedded.podLabels" .Values.redis.embedded.podLabels -}}
{{- range $where, $given := $labels -}}
{{- range $label, $_ := default dict $given -}}
{{- if hasPrefix "siar.dev/" $label -}}
{{- fail (printf "%s sets %s, and labels of siar.dev say what a pod is: remove it." $where $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Rights bound to the account "default" would be those of every pod there, and those of one part the other's, too. */}}
{{- define "siar.checks.accounts" -}}
{{- range $part := list "gateway" "operator" -}}
{{- with get $.Values $part -}}
{{- if and .enabled $.Values.rbac.create (not .serviceAccount.create) (not .serviceAccount.name) -}}
{{- fail (printf "%s.serviceAccount.create=false leaves open who gets the rights of the %s: name its account in %s.serviceAccount.name." $part $part $part) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $gateway := include "siar.gateway.serviceAccount" . -}}
{{- if and .Values.gateway.enabled .Values.operator.enabled (eq $gateway (include "siar.operator.serviceAccount" .)) -}}
{{- fail (printf "Gateway and operator would share the service account %q, and gateways could read every Secret that the operator may: give them different names in gateway.serviceAccount.name and operator.serviceAccount.name." $gateway) -}}
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

{{/* The API server would refuse them, in words about other fields than values have. */}}
{{- define "siar.checks.pods" -}}
{{- range $part := list "gateway" "operator" -}}
{{- with get $.Values $part -}}
{{- if .enabled -}}
{{- $rolling := default dict .strategy.rollingUpdate -}}
{{- $none := list "0" "0%" "00%" "000%" -}}
{{- if and (eq .strategy.type "RollingUpdate") (has (dig "maxUnavailable" "25%" $rolling | toString) $none) (has (dig "maxSurge" "25%" $rolling | toString) $none) -}}
{{- fail (printf "%s.strategy.rollingUpdate lets an update take no pod away and add none: raise maxSurge or maxUnavailable." $part) -}}
{{- end -}}
{{- if and .pdb.enabled (kindIs "invalid" .pdb.maxUnavailable) (kindIs "invalid" .pdb.minAvailable) -}}
{{- fail (printf "%s.pdb has neither maxUnavailable nor minAvailable: set one of them, or %s.pdb.enabled=false." $part $part) -}}
{{- end -}}
{{- end -}}
{{- end -}}
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
{{- with .service -}}
{{- if eq .type "ClusterIP" -}}
{{- range $name := list "nodePort" "httpsNodePort" "externalTrafficPolicy" -}}
{{- if get $.Values.gateway.service $name -}}
{{- fail (printf "gateway.service.%s is for a Service that is reached from outside: set gateway.service.type to NodePort or LoadBalancer, or leave it out." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .ingress.enabled (eq .ingress.preset "gke") .ingress.className -}}
{{- fail "gateway.ingress.preset=gke does not go with a className, since GKE takes no Ingress that has an ingressClassName: leave className out, and for an internal balancer set the annotation kubernetes.io/ingress.class: gce-internal." -}}
{{- end -}}
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

{{/* Only an install is refused: who puts the same name on a Deployment later must not hold up the upgrades of others. */}}
{{- define "siar.checks.gatewayName" -}}
{{- if .Release.IsInstall -}}
{{- with include "siar.twin" . -}}
{{- fail (printf "%s is already the gateway %q, and both would serve the same Channels: give this release another gateway.name." . $.Values.gateway.name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
