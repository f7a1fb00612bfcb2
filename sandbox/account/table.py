"""SageMaker's operations: one table holds all that the sandbox answers, training jobs, endpoints and their tags.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html. Whatever is not
in the table is refused by account/backend.py.
"""

from sandbox.training import request as requests
from sandbox.training import search, validation
from sandbox.training.validation import refuse


def checked(operations, resource, unchecked=()):
    """Operations that see their request once the caller's rights and the reference's constraints were checked.

    operations: {name: a function of a call and its request}; resource: a function of a region and a request -> the ARN
    that it is about; unchecked: names of those that check the constraints themselves. -> {name: a function of a call}
    """

    def answerer(name, operation):
        def answer(call):
            asked = {key: value for key, value in call.request.items() if value is not None}
            call.authorize(resource(call.region, asked))
            if name not in unchecked:
                validation.check(name, asked)
            return operation(call, asked)

        return answer

    return {name: answerer(name, operation) for name, operation in operations.items()}


class Tags:
    """The tags of everything that can have some: each of `holders` has a method `records`."""

    def __init__(self, *holders):
        self.holders = holders
        operations = {"AddTags": self.add, "ListTags": self.list, "DeleteTags": self.delete}
        self.table = checked(operations, lambda region, asked: asked.get("ResourceArn") or "*")

    def holder(self, arn):
        """The record of this ARN, or None."""
        records = [record for holder in self.holders for record in holder.records() if record.arn == arn]
        return records[0] if records else None

    def of(self, arn):
        """The tags of what has this ARN: {key: value}; none where there is nothing."""
        record = self.holder(arn)
        return record.tags if record else {}

    def find(self, asked):
        return self.holder(asked["ResourceArn"]) or refuse(
            f"Requested resource not found: {asked['ResourceArn']}", "ResourceNotFound"
        )

    def add(self, call, asked):
        record = self.find(asked)
        requests.check_tags(asked["Tags"])
        record.tags.update({tag["Key"]: tag["Value"] for tag in asked["Tags"]})
        return {"Tags": record.tag_list()}

    def list(self, call, asked):
        shown, token = search.page(self.find(asked).tag_list(), asked, 50)
        return {"Tags": shown, **token}

    def delete(self, call, asked):
        record = self.find(asked)
        for key in asked["TagKeys"]:
            record.tags.pop(key, None)
        return {}
