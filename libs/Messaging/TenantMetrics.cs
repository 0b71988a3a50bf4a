using System.Diagnostics.Metrics;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts.Events;
using MultiAgent.Hosting.Telemetry;

namespace MultiAgent.Messaging;

/// <summary>
/// <c>tenant_model_calls_total</c>, <c>tenant_model_tokens_total</c> and <c>tenant_model_cost_usd_total</c>: who uses the
/// deployment. The number of tenants with a label of their own is bounded by <see cref="TelemetryOptions"/>; the rest are one.
/// </summary>
internal sealed class TenantMetrics(IOptions<TelemetryOptions> options)
{
    private readonly Counter<long> _calls = PlatformTelemetry.Meter.CreateCounter<long>("tenant_model_calls", null, "Model calls by tenant; the tenants beyond the configured number are 'other'.");
    private readonly Counter<long> _tokens = PlatformTelemetry.Meter.CreateCounter<long>("tenant_model_tokens", null, "Input and output tokens by tenant.");
    private readonly Counter<double> _cost = PlatformTelemetry.Meter.CreateCounter<double>("tenant_model_cost_usd", null, "US dollars of model calls with a known price, by tenant.");
    private readonly BoundedLabel _tenants = new(options.Value.MaxTenants, options.Value.Tenants);

    public void Count(UsageRecord record)
    {
        var tag = new KeyValuePair<string, object?>("tenant", _tenants.Of(record.TenantId));
        _calls.Add(1, tag);
        _tokens.Add(record.InputTokens + record.OutputTokens, tag);
        if (record.CostUsd is { } usd) _cost.Add((double)usd, tag);
    }
}
