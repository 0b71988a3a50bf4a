using System.Text.Json;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Whom a run is for.</summary>
internal static class RunUser
{
    /// <summary>The member of a run's metadata that names the end user of a client's own application.</summary>
    public const string MetadataKey = "user_id";

    /// <summary>The user; null when nobody is named: an API key is no person, many may stand behind it.</summary>
    public static string? Of(RunRecord run)
    {
        if (run.UserId is not null) return run.UserId;
        if (run.Metadata is null) return null;
        using var document = JsonDocument.Parse(run.Metadata);
        return document.RootElement.TryGetProperty(MetadataKey, out JsonElement user) && user.GetString() is { Length: > 0 } name ? name : null;
    }
}
