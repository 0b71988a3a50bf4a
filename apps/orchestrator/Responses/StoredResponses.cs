using MultiAgent.Contracts;
using MultiAgent.Hosting.Errors;
using MultiAgent.Orchestrator.Runs;

namespace MultiAgent.Orchestrator.Responses;

/// <summary>A response that can be read: its run, and what it was asked.</summary>
internal sealed record StoredResponse(RunRecord Run, ResponseRequest Request);

/// <summary>Finds and reads responses.</summary>
internal sealed class StoredResponses(IRunStore store, IResponseDeletions deletions)
{
    private const int Page = 1000;

    /// <summary>A response of the tenant that was stored and not deleted; null when there is none of this id.</summary>
    /// <param name="tenantId">Whose.</param>
    /// <param name="id">Untrusted.</param>
    public async ValueTask<StoredResponse?> FindAsync(string tenantId, string id)
    {
        if (ResponseWriter.RunIdOf(id) is not { } runId || await store.FindAsync(tenantId, runId) is not { Surface: RunInput.ResponseSurface } run) return null;
        if (await deletions.IsDeletedAsync(tenantId, runId)) return null;
        if (await store.EventsAsync(tenantId, runId, 0, 1) is not [{ Type: RunEventTypes.Accepted } accepted] || RunInput.FromEvent(accepted.Data).Response is not { Store: true } request) return null;
        return new StoredResponse(run, request);
    }

    /// <exception cref="ApiException">404: there is none.</exception>
    public async ValueTask<StoredResponse> GetAsync(string tenantId, string id) => await FindAsync(tenantId, id)
        ?? throw new ApiException(404, ErrorCodes.NotFound, $"The response '{(id.Length > 60 ? id[..60] : id)}' was not found. It may not have been stored.");

    /// <summary>The response object as it stands.</summary>
    /// <param name="run">The row.</param>
    /// <param name="request">What was asked.</param>
    /// <param name="status">In place of the run's own.</param>
    public async ValueTask<byte[]> ReadAsync(RunRecord run, ResponseRequest request, string? status = null)
    {
        var fold = new ResponseFold(request, ResponseWriter.SuffixOf(run), null);
        long last = 0;
        while (await store.EventsAsync(run.TenantId, run.Id, last, Page) is { Count: > 0 } events)
        {
            last = events[^1].Seq;
            foreach (RunEvent e in events) fold.Apply(e);
        }
        if (run.IsFinal) fold.End(run);
        return ResponseWriter.Whole(request, run, status ?? ResponseWriter.StatusOf(run), fold.Items);
    }
}
