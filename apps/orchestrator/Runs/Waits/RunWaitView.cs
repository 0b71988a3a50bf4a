namespace MultiAgent.Orchestrator.Runs.Waits;

/// <summary>Something that a run waits for, as the run shows it.</summary>
internal sealed record RunWaitView
{
    public required string Id { get; init; }
    /// <summary><c>human</c> (see /api/v1/approvals), <c>event</c> (a webhook's has no name), or <c>child</c>: the end of a run that is a step of this one and rests itself.</summary>
    public required string Kind { get; init; }
    /// <summary>The step or call that waits.</summary>
    public required string Path { get; init; }
    public string? Title { get; init; }
    /// <summary>The role that may answer.</summary>
    public string? Role { get; init; }
    public string? Event { get; init; }
    public string? Key { get; init; }
    /// <summary>The run whose end is waited for.</summary>
    public string? RunId { get; init; }
    public required DateTimeOffset Since { get; init; }
    public DateTimeOffset? ExpiresAt { get; init; }

    public static RunWaitView Of(RunWait wait) => new()
    {
        Id = wait.Id,
        Kind = WaitNames.Of(wait.Kind),
        Path = wait.Path,
        Title = wait.Title,
        Role = wait.Role,
        Event = wait.Kind == WaitKind.Event && !HookToken.IsName(wait.Name) ? wait.Name : null,
        Key = wait.Key,
        RunId = wait.Kind == WaitKind.Child ? wait.Name : null,
        Since = wait.RequestedAt,
        ExpiresAt = wait.ExpiresAt,
    };
}
