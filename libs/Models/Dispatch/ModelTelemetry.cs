using System.Diagnostics;
using System.Globalization;
using MultiAgent.Contracts;
using MultiAgent.Models.Catalogue;
using MultiAgent.Models.Providers;

namespace MultiAgent.Models.Dispatch;

/// <summary>
/// Spans of model calls, one per attempt, so that retries and fallbacks show. Names and attributes follow the OpenTelemetry
/// GenAI semantic conventions; no content is in them.
/// </summary>
internal static class ModelTelemetry
{
    private static readonly ActivitySource Source = new(ModelMetrics.MeterName);

    /// <summary>Null, at the price of one comparison, while nobody listens.</summary>
    public static Activity? Start(ModelCall call, ModelEntry model, Deployment deployment, int attempt)
    {
        if (!Source.HasListeners()) return null;
        string operation = call.Operation == ModelOperation.Chat ? "chat" : "embeddings";
        if (Source.StartActivity($"{operation} {deployment.UpstreamModel}", ActivityKind.Client) is not { } span) return null;
        span.SetTag("gen_ai.operation.name", operation).SetTag("gen_ai.provider.name", model.Provider).SetTag("gen_ai.request.model", deployment.UpstreamModel)
            .SetTag("maap.requested_model", call.Envelope.Model).SetTag("maap.deployment", deployment.Id).SetTag("maap.attempt", attempt);
        if (deployment.BaseUrl is { } address) span.SetTag("server.address", address.Host).SetTag("server.port", address.Port);
        if (call.Usage.RunId is { } run) span.SetTag("maap.run.id", run);
        return span;
    }

    public static void End(Activity span, in TokenUsage usage, decimal? cost, string status, string? errorCode, TimeSpan? firstByte)
    {
        span.SetTag("gen_ai.usage.input_tokens", usage.InputTokens).SetTag("gen_ai.usage.output_tokens", usage.OutputTokens).SetTag("maap.status", status);
        if (usage.Estimated) span.SetTag("maap.usage.estimated", true);
        if (cost is { } usd) span.SetTag("maap.cost_usd", usd.ToString(CultureInfo.InvariantCulture));
        if (firstByte is { } first) span.SetTag("maap.time_to_first_byte_ms", first.TotalMilliseconds);
        if (status is "error" or "interrupted") span.SetStatus(ActivityStatusCode.Error).SetTag("error.type", errorCode ?? ErrorCodes.ProviderError);
        span.Stop();
    }
}
