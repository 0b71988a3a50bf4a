using Microsoft.AspNetCore.Http;

namespace MultiAgent.Hosting.Edge;

/// <summary>Hears of every request that was answered. Only a front door has one: a request that it passes on is one request.</summary>
public interface IRequestLog
{
    /// <summary>A request is over, well or not. Called on its thread, once; must be quick and must not throw.</summary>
    void Completed(HttpContext context, RequestInfo info, TimeSpan duration);
}
