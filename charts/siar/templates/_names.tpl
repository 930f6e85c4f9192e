{{/*
Names, labels and images. Every object takes its metadata from "siar.metadata", so that labels are written once.
*/}}

{{- define "siar.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* What all names begin with: the release, and the chart where the release does not name it. At most 40 bytes, so that the longest name made from it stays below 63. */}}
{{- define "siar.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What a Deployment, Service or policy knows its pods by; never changes. Takes (dict "root" $ "component" NAME). */}}
{{- define "siar.selector" -}}
app.kubernetes.io/name: {{ include "siar.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object. Takes (dict "root" $ "component" NAME or nothing). */}}
{{- define "siar.labels" -}}
app.kubernetes.io/name: {{ include "siar.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | replace "+" "_" | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/*
Metadata of an object. Takes a dict with
  root         the chart
  suffix       what follows the full name; or name, the whole name
  component    gateway, operator, redis, or nothing
  scope        "cluster": no namespace, and the name ends in it, since releases of two namespaces must not meet
  namespace    another namespace than the release's
  labels, annotations   more of them; they win over those for all
*/}}
{{- define "siar.metadata" -}}
{{- $root := .root -}}
{{- $name := .name | default (printf "%s-%s" (include "siar.fullname" $root) .suffix) -}}
{{- if and (eq (default "" .scope) "cluster") (not .name) -}}
{{- $name = printf "%s-%s" $name $root.Release.Namespace -}}
{{- end -}}
name: {{ $name }}
{{- if ne (default "" .scope) "cluster" }}
namespace: {{ .namespace | default $root.Release.Namespace }}
{{- end }}
labels:
  {{- $own := include "siar.labels" (dict "root" $root "component" .component) | fromYaml }}
  {{- mergeOverwrite (dict) (deepCopy $root.Values.commonLabels) (deepCopy (default dict .labels)) $own | toYaml | nindent 2 }}
{{- with mergeOverwrite (dict) (deepCopy $root.Values.commonAnnotations) (deepCopy (default dict .annotations)) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image. Takes (dict "root" $ "image" VALUES). A digest wins over the tag, which stays to be read. */}}
{{- define "siar.image" -}}
{{- $tag := .image.tag | default .root.Chart.AppVersion -}}
{{- printf "%s:%s" .image.repository $tag -}}
{{- with .image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{- define "siar.gateway.serviceAccount" -}}
{{- if .Values.gateway.serviceAccount.create -}}
{{- default (printf "%s-gateway" (include "siar.fullname" .)) .Values.gateway.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.gateway.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "siar.operator.serviceAccount" -}}
{{- if .Values.operator.serviceAccount.create -}}
{{- default (printf "%s-operator" (include "siar.fullname" .)) .Values.operator.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.operator.serviceAccount.name -}}
{{- end -}}
{{- end -}}
