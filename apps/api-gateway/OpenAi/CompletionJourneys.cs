using Microsoft.AspNetCore.Http;
using MultiAgent.Contracts;
using MultiAgent.Contracts.Events;
using MultiAgent.Contracts.Identity;
using MultiAgent.Hosting.Edge;
using MultiAgent.Messaging;

namespace MultiAgent.Gateway.OpenAi;

/// <summary>
/// The journey of a chat completion: recorded whole when it ends, or as a step of the journey that the client names in
/// <c>X-Journey-Id</c>.
/// </summary>
internal sealed class CompletionJourneys(JourneyRecorder recorder, TimeProvider time)
{
    /// <summary>The journey that the client names; null when it names none, or not one of ours.</summary>
    public static string? JourneyIdOf(HttpRequest request) =>
        request.Headers["X-Journey-Id"].ToString() is { Length: > 0 } id && Ids.IsValid(id, "jrn") ? id : null;

    public void Record(HttpContext context, RequestInfo info, string? user, string outcome)
    {
        Caller caller = info.Caller!;
        DateTimeOffset now = time.GetUtcNow();
        TimeSpan duration = time.GetElapsedTime(info.Started);
        string? given = JourneyIdOf(context.Request);
        string id = given ?? Ids.New("jrn", now);
        recorder.Record(new JourneyChange
        {
            // A journey that is recorded whole has one change, and shares its id.
            Id = given is null ? id : Ids.New("jch", now),
            JourneyId = id,
            TenantId = caller.TenantId,
            Kind = given is null ? "recorded" : "step",
            Type = "chat",
            UserId = user ?? caller.UserId,
            At = given is null ? now - duration : now,
            Step = given is null ? "request,answer" : $"chat.{outcome}",
            Outcome = given is null ? outcome : null,
            DurationMs = Math.Round(duration.TotalMilliseconds, 3),
        });
    }
}
