using System.Text.Json;
using System.Text.Json.Serialization;

namespace MultiAgent.Orchestrator.Schedules;

/// <summary>What a tenant says about a schedule; the body of POST and PUT.</summary>
internal sealed record ScheduleSpec
{
    public const int DefaultMaxCatchUp = 10;

    public string? Name { get; init; }
    /// <summary>A cron expression: five fields as in crontab, or Quartz's six or seven that begin with seconds. Give this or <see cref="At"/>.</summary>
    public string? Cron { get; init; }
    /// <summary>IANA name of the time zone of <see cref="Cron"/>, e.g. <c>Europe/Berlin</c>; <c>UTC</c> when absent.</summary>
    public string? TimeZone { get; init; }
    /// <summary>Fires once, then.</summary>
    public DateTimeOffset? At { get; init; }
    /// <summary>Fires up to so many seconds later, each time another; 0 to 3 600.</summary>
    public int? JitterSeconds { get; init; }
    /// <summary>What becomes of times that passed while nothing could fire: <c>skip</c> (default), <c>one</c> (the last of them) or <c>all</c> (the last <see cref="MaxCatchUp"/>).</summary>
    public string? CatchUp { get; init; }
    /// <summary>Most that <c>all</c> makes up for; default 10, 1 to 100.</summary>
    public int? MaxCatchUp { get; init; }
    /// <summary>What happens while the run before is not over: <c>skip</c> (default), <c>allow</c>, <c>queue</c> or <c>cancel_previous</c>.</summary>
    public string? Overlap { get; init; }
    /// <summary>The agent to run: slug, <c>slug@label</c> or <c>slug@version</c>, looked up when it fires.</summary>
    public string? Agent { get; init; }
    public string? Message { get; init; }
    public IReadOnlyDictionary<string, JsonElement>? Variables { get; init; }
    /// <summary>The workflow to run, as <see cref="Agent"/>.</summary>
    public string? Workflow { get; init; }
    public JsonElement? Inputs { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

/// <summary>JSON of stored definitions.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ScheduleSpec))]
internal sealed partial class ScheduleJson : JsonSerializerContext;
