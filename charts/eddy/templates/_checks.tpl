{{/* What the schema cannot say: values that do not go together. */}}
{{- define "eddy.checks" -}}
{{- with .Values }}
{{- if not .kafka.brokers }}
{{- fail "kafka.brokers: say where Kafka is, such as --set 'kafka.brokers={kafka:9092}'" }}
{{- end }}
{{- if not .tokens.existingSecret }}
{{- fail "tokens.existingSecret: name the secret with the tokens file (`eddy token create` makes its lines) and the engines' own token" }}
{{- end }}
{{- $needed := add 30 (int .preStopSleepSeconds) }}
{{- if lt (int .terminationGracePeriodSeconds) (int (add $needed 5)) }}
{{- fail (printf "terminationGracePeriodSeconds: expected at least %d: preStopSleepSeconds, 30 s to drain, 5 to spare" (add $needed 5)) }}
{{- end }}
{{- range $where, $sasl := dict "kafka.sasl" .kafka.sasl "topics.job.sasl" .topics.job.sasl }}
{{- if and $sasl.mechanism (not $sasl.existingSecret) }}
{{- fail (printf "%s.existingSecret: name the secret that holds name and password" $where) }}
{{- end }}
{{- if and (eq $sasl.mechanism "oauthbearer") (not $sasl.tokenEndpoint) }}
{{- fail (printf "%s.tokenEndpoint: say where tokens are asked for" $where) }}
{{- end }}
{{- end }}
{{- with .kafka.tls }}
{{- if and (or .certKey .keyKey) (not (and .certKey .keyKey)) }}
{{- fail "kafka.tls: certKey and keyKey belong together: give both, or none" }}
{{- end }}
{{- if and .certKey (not .existingSecret) }}
{{- fail "kafka.tls.existingSecret: name the secret that holds the client's certificate" }}
{{- end }}
{{- end }}
{{- if and .autoscaling.hpa.enabled .autoscaling.keda.enabled }}
{{- fail "autoscaling: choose hpa or keda; both would pull at the same replicas" }}
{{- end }}
{{- if and .metrics.podMonitor.enabled .metrics.serviceMonitor.enabled }}
{{- fail "metrics: choose podMonitor or serviceMonitor; both would read each engine twice" }}
{{- end }}
{{- if not (include "eddy.isAutoscaled" $) }}
{{- if gt (int .replicas) (int (include "eddy.partitions" $)) }}
{{- fail (printf "replicas: %d engines for %s partitions: those beyond have nothing to do" (int .replicas) (include "eddy.partitions" $)) }}
{{- end }}
{{- else if gt (int .autoscaling.minReplicas) (int (include "eddy.maxReplicas" $)) }}
{{- fail "autoscaling.minReplicas: is above autoscaling.maxReplicas, or the partition count" }}
{{- end }}
{{- end }}
{{- end }}
