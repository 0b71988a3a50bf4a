using MultiAgent.Contracts.Identity;

namespace MultiAgent.Hosting.Identity;

/// <summary>
/// Second level behind the callers that a process holds in memory: shared by all replicas, so that a process that starts, or a key that moves to another one,
/// asks no database. Nothing is found in it that was looked up before a change of callers.
/// </summary>
public interface ICallerStore
{
    /// <summary>What another process found before, or else what <paramref name="load"/> finds now. That nothing was found is never kept.</summary>
    /// <param name="credential">Hash of the credential; never the credential itself.</param>
    /// <param name="load">Reads the database.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    ValueTask<Caller?> GetOrLoadAsync(string credential, Func<CancellationToken, Task<Caller?>> load, CancellationToken cancellationToken);
}

/// <summary>No second level: the database is asked.</summary>
public sealed class NoCallerStore : ICallerStore
{
    public async ValueTask<Caller?> GetOrLoadAsync(string credential, Func<CancellationToken, Task<Caller?>> load, CancellationToken cancellationToken) =>
        await load(cancellationToken);
}
