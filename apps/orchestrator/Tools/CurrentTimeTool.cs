using System.Globalization;
using System.Text.Json;

namespace MultiAgent.Orchestrator.Tools;

/// <summary>Tells the date and time, in a time zone if asked.</summary>
internal sealed class CurrentTimeTool(TimeProvider time) : ITool
{
    public string Name => "current_time";

    public string Description => "Returns the current date and time, in UTC or in a given IANA time zone such as Asia/Ho_Chi_Minh.";

    public string ParametersSchema => """{"type":"object","properties":{"timezone":{"type":"string","description":"IANA time zone, e.g. Europe/Berlin. UTC when absent.","maxLength":64}},"additionalProperties":false}""";

    public byte[] Definition => field ??= ToolRegistry.Define(Name, Description, ParametersSchema);

    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.None;

    public Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        string zone = arguments.TryGetProperty("timezone", out JsonElement given) && given.GetString() is { Length: > 0 } name ? name : "UTC";
        if (!TimeZoneInfo.TryFindSystemTimeZoneById(zone, out TimeZoneInfo? info))
            throw new ToolException($"'{zone}' is not a known time zone. Use an IANA name such as Europe/Berlin.");
        DateTimeOffset now = TimeZoneInfo.ConvertTime(time.GetUtcNow(), info);
        return Task.FromResult<ToolResult>(string.Create(CultureInfo.InvariantCulture, $$"""{"time":"{{now:yyyy-MM-ddTHH:mm:sszzz}}","timezone":"{{zone}}","weekday":"{{now.DayOfWeek}}"}"""));
    }
}
