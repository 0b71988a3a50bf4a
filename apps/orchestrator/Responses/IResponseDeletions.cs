namespace MultiAgent.Orchestrator.Responses;

/// <summary>Keeps which responses were deleted. Their runs stay for as long as runs are kept.</summary>
internal interface IResponseDeletions
{
    /// <summary>Deletes a response; twice is harmless.</summary>
    Task DeleteAsync(string tenantId, string runId, DateTimeOffset at);

    ValueTask<bool> IsDeletedAsync(string tenantId, string runId);
}
