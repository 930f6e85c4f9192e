{{/*
What the pods of gateway and operator have in common. Each takes (dict "root" $ "component" NAME "values" VALUES).
*/}}

{{/*
Metadata of a pod. Without version of the chart: a new chart with the same pods restarts none. Without ours for Redis,
which is not of our version: a new one of ours would restart it, and what it keeps would end with its pod.
siar.dev/component is what policies of other releases know it by, so no value changes it.
*/}}
{{- define "siar.pod.metadata" -}}
{{- $labels := include "siar.selector" . | fromYaml -}}
{{- if ne .component "redis" }}{{- $_ := set $labels "app.kubernetes.io/version" (.root.Chart.AppVersion | replace "+" "_") }}{{- end -}}
{{- $_ := set $labels "siar.dev/component" .component -}}
{{- with .gateway }}{{- $_ := set $labels "siar.dev/gateway" . }}{{- end -}}
labels:
  {{- mergeOverwrite (dict) (deepCopy .root.Values.commonLabels) (deepCopy .values.podLabels) $labels | toYaml | nindent 2 }}
{{- with .values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* How a Deployment replaces its pods; only a rolling update has details. "recreate" leaves no choice. */}}
{{- define "siar.pod.strategy" -}}
{{- if or .recreate (eq .values.strategy.type "Recreate") -}}
type: Recreate
{{- else -}}
{{- toYaml .values.strategy -}}
{{- end -}}
{{- end -}}

{{/* Where pods run, and as whom. */}}
{{- define "siar.pod.place" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  {{- list (mergeOverwrite (dict "labelSelector" (dict "matchLabels" (include "siar.selector" $ | fromYaml))) (deepCopy .)) | toYaml | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Probes of the admin port; what the values say is when they ask. */}}
{{- define "siar.pod.probes" -}}
{{- with .values.probes.startup }}
startupProbe:
  httpGet: {path: /livez, port: admin}
  {{- toYaml . | nindent 2 }}
{{- end }}
livenessProbe:
  httpGet: {path: /livez, port: admin}
  {{- toYaml .values.probes.liveness | nindent 2 }}
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  {{- toYaml .values.probes.readiness | nindent 2 }}
{{- end -}}

{{/* How many pods may be evicted at once. Takes what the others take. */}}
{{- define "siar.pdb" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "siar.metadata" (dict "root" .root "suffix" .component "component" .component) | nindent 2 }}
spec:
  {{- if kindIs "invalid" .values.pdb.minAvailable }}
  maxUnavailable: {{ .values.pdb.maxUnavailable }}
  {{- else }}
  minAvailable: {{ .values.pdb.minAvailable }}
  {{- end }}
  # A pod that is not ready holds up no node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "siar.selector" . | nindent 6 }}
{{- end -}}
