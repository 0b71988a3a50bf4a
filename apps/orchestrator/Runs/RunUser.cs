using System.Text.Json;

namespace MultiAgent.Orchestrator.Runs;

/// <summary>Whom a run is for.</summary>
internal static class RunUser
{
    /// <summary>The member of a run's metadata that names the end user of a client's own application.</summary>
    public const string MetadataKey = "user_id";

    /// <summary>The user whom the client names, or who is logged in. Null for a key that names nobody: whoever made the key is not those who stand behind it.</summary>
    public static string? Of(RunRecord run) => Named(run.Metadata) ?? (run.ApiKeyId is null ? run.UserId : null);

    private static string? Named(string? metadata)
    {
        if (metadata is null) return null;
        using var document = JsonDocument.Parse(metadata);
        return document.RootElement.TryGetProperty(MetadataKey, out JsonElement user) && user.GetString() is { Length: > 0 } name ? name : null;
    }
}
