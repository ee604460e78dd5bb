{{/* The engine's configuration file. No secret is in it. Argument: the root. */}}
{{- define "eddy.config" -}}
{{- $config := deepCopy .Values.config }}
{{- $_ := set $config "brokers" .Values.kafka.brokers }}
{{- with .Values.kafka.tls }}
{{- if .enabled }}
{{- $ssl := dict }}
{{- if .existingSecret }}
{{- with .caKey }}{{ $_ := set $ssl "ca" (printf "/etc/eddy/tls/%s" .) }}{{ end }}
{{- with .certKey }}{{ $_ := set $ssl "cert" (printf "/etc/eddy/tls/%s" .) }}{{ end }}
{{- with .keyKey }}{{ $_ := set $ssl "key" (printf "/etc/eddy/tls/%s" .) }}{{ end }}
{{- end }}
{{- $_ := set $config "ssl" (empty $ssl | ternary true $ssl) }}
{{- end }}
{{- end }}
{{- with .Values.schemaRegistry.url }}
{{- $_ := set $config "schemaRegistry" (dict "url" .) }}
{{- end }}
{{- with .Values.tokens }}
{{- if .existingSecret }}
{{- $_ := set $config "tokensFile" (printf "/etc/eddy/tokens/%s" .fileKey) }}
{{- $_ := set $config "peerTokenFile" (printf "/etc/eddy/tokens/%s" .peerKey) }}
{{- end }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* Argument: a `sasl` of the values. */}}
{{- define "eddy.saslEnv" -}}
{{- if .mechanism }}
{{- $isOAuth := eq .mechanism "oauthbearer" }}
- name: EDDY_SASL_MECHANISM
  value: {{ .mechanism }}
- name: {{ $isOAuth | ternary "EDDY_SASL_CLIENT_ID" "EDDY_SASL_USERNAME" }}
  valueFrom:
    secretKeyRef: { name: {{ .existingSecret }}, key: {{ .usernameKey }} }
- name: {{ $isOAuth | ternary "EDDY_SASL_CLIENT_SECRET" "EDDY_SASL_PASSWORD" }}
  valueFrom:
    secretKeyRef: { name: {{ .existingSecret }}, key: {{ .passwordKey }} }
{{- if $isOAuth }}
- name: EDDY_SASL_TOKEN_ENDPOINT
  value: {{ .tokenEndpoint }}
{{- with .scope }}
- name: EDDY_SASL_SCOPE
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Argument: `schemaRegistry` of the values. */}}
{{- define "eddy.registryEnv" -}}
{{- if and .url .existingSecret }}
- name: EDDY_SCHEMA_REGISTRY_USERNAME
  valueFrom:
    secretKeyRef: { name: {{ .existingSecret }}, key: {{ .usernameKey }} }
- name: EDDY_SCHEMA_REGISTRY_PASSWORD
  valueFrom:
    secretKeyRef: { name: {{ .existingSecret }}, key: {{ .passwordKey }} }
{{- end }}
{{- end }}

{{/* Argument: the root, and the name of the ConfigMap. */}}
{{- define "eddy.configVolumes" -}}
- name: config
  configMap: { name: {{ .configMap }} }
{{- with .root.Values.kafka.tls }}
{{- if and .enabled .existingSecret }}
- name: kafka-tls
  secret: { secretName: {{ .existingSecret }} }
{{- end }}
{{- end }}
{{- end }}

{{- define "eddy.configMounts" -}}
- { name: config, mountPath: /etc/eddy/config, readOnly: true }
{{- with .Values.kafka.tls }}
{{- if and .enabled .existingSecret }}
- { name: kafka-tls, mountPath: /etc/eddy/tls, readOnly: true }
{{- end }}
{{- end }}
{{- end }}

{{/* What every pod of the chart has. */}}
{{- define "eddy.podBasics" -}}
automountServiceAccountToken: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{- define "eddy.spread" -}}
{{- if .Values.topologySpreadConstraints }}
{{- toYaml .Values.topologySpreadConstraints }}
{{- else }}
{{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
- maxSkew: 1
  topologyKey: {{ . }}
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "eddy.engineSelector" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
