using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using MultiAgent.Models.Catalogue;

namespace MultiAgent.Models.Dispatch;

/// <summary>
/// Metrics of model calls. Labels are bounded: models outside the catalogue count as <c>unlisted</c>, since their names are the
/// clients'. The <c>gen_ai</c> histograms follow the OpenTelemetry GenAI semantic conventions.
/// </summary>
internal sealed class ModelMetrics
{
    public const string MeterName = "MultiAgent.Models";

    private static readonly InstrumentAdvice<double> Seconds = new()
    {
        HistogramBucketBoundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 40, 80],
    };

    // The boundaries that the conventions ask for.
    private static readonly InstrumentAdvice<long> Tokens = new()
    {
        HistogramBucketBoundaries = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216, 67_108_864],
    };

    private readonly Counter<long> _tokens;
    private readonly Counter<double> _cost;
    private readonly Counter<long> _unknownCost;
    private readonly Counter<long> _errors;
    private readonly Counter<long> _fallbacks;
    private readonly Histogram<double> _duration;
    private readonly Histogram<double> _firstToken;
    private readonly Histogram<long> _usage;

    // Tag values of a model, made once: the hot path records six measurements per call.
    private readonly ConcurrentDictionary<string, ModelTags> _tags = new(StringComparer.Ordinal);

    public ModelMetrics(DeploymentHealthRegistry health)
    {
        var meter = new Meter(MeterName);
        _tokens = meter.CreateCounter<long>("model_tokens", null, "Tokens used, by model and kind.");
        _cost = meter.CreateCounter<double>("model_cost_usd", null, "US dollars of model calls with a known price.");
        _unknownCost = meter.CreateCounter<long>("model_calls_with_unknown_cost", null, "Model calls whose price is not in the catalogue.");
        _errors = meter.CreateCounter<long>("provider_errors", null, "Failed attempts at a provider, by kind.");
        _fallbacks = meter.CreateCounter<long>("model_fallbacks", null, "Answers that came from a fallback instead of the requested model.");
        _duration = meter.CreateHistogram("gen_ai.client.operation.duration", "s", "Time of a model call.", null, Seconds);
        _firstToken = meter.CreateHistogram("model_time_to_first_token", "s", "Time from the call to the first byte of the answer.", null, Seconds);
        _usage = meter.CreateHistogram("gen_ai.client.token.usage", "{token}", "Tokens of a model call.", null, Tokens);
        meter.CreateObservableGauge("model_circuit_state", () => health.All.Select(h =>
            new Measurement<int>((int)h.State, new KeyValuePair<string, object?>("deployment", h.DeploymentId))), null, "0 closed, 1 half open, 2 open.");
    }

    public void Completed(ModelEntry model, string operation, string status, in TokenUsage usage, decimal? cost, TimeSpan duration, TimeSpan? firstToken)
    {
        ModelTags tags = TagsOf(model);
        _tokens.Add(usage.InputTokens, tags.Model, tags.Input);
        _tokens.Add(usage.OutputTokens, tags.Model, tags.Output);
        if (usage.CachedInputTokens > 0) _tokens.Add(usage.CachedInputTokens, tags.Model, tags.Cached);
        if (cost is { } usd) _cost.Add((double)usd, tags.Model);
        else _unknownCost.Add(1, tags.Model);
        var durationTags = new TagList
        {
            { "gen_ai.operation.name", operation },
            { "gen_ai.provider.name", model.Provider },
            { "gen_ai.request.model", tags.Name },
            { "status", status },
        };
        _duration.Record(duration.TotalSeconds, durationTags);
        _usage.Record(usage.InputTokens, UsageTags(operation, model, tags, "input"));
        _usage.Record(usage.OutputTokens, UsageTags(operation, model, tags, "output"));
        if (firstToken is { } first) _firstToken.Record(first.TotalSeconds, tags.Model);
    }

    private static TagList UsageTags(string operation, ModelEntry model, ModelTags tags, string type) => new()
    {
        { "gen_ai.operation.name", operation },
        { "gen_ai.provider.name", model.Provider },
        { "gen_ai.request.model", tags.Name },
        { "gen_ai.token.type", type },
    };

    public void Error(string provider, string kind) =>
        _errors.Add(1, new KeyValuePair<string, object?>("provider", provider), new KeyValuePair<string, object?>("kind", kind));

    public void FellBack(ModelEntry model) => _fallbacks.Add(1, TagsOf(model).Model);

    private ModelTags TagsOf(ModelEntry model) => _tags.GetOrAdd(model.Listed ? model.Id : $"{model.Provider}/unlisted", static id => new ModelTags(id));

    private sealed class ModelTags(string name)
    {
        public readonly string Name = name;
        public readonly KeyValuePair<string, object?> Model = new("model", name);
        public readonly KeyValuePair<string, object?> Input = new("kind", "input");
        public readonly KeyValuePair<string, object?> Output = new("kind", "output");
        public readonly KeyValuePair<string, object?> Cached = new("kind", "cached_input");
    }
}
